"""Structure maps in folders of renderings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from made_up_bodies import Bodies
from resight.data.crops import Crops, images_of
from resight.errors import ConfigError, DataError
from resight.methods import structure
from resight.methods.structure import body_mask, open_pairs, open_structure

SIZE = (64, 32)


def crops(*names: str) -> Crops:
    made = images_of(np.zeros((len(names), *SIZE, 3), np.uint8), SIZE)
    assert isinstance(made, Crops)
    table = type(made.table)(np.array(names))
    return Crops(table, made.store, made.rows)


def render(root: Path, folder: str, name: str, value: int = 100, size: tuple[int, int] = SIZE) -> None:
    pixels = np.full((*size, 3), 255, np.uint8)
    pixels[size[0] // 4 : -size[0] // 4, size[1] // 4 : -size[1] // 4] = value
    (root / folder).mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(root / folder / name)


def test_renderings_are_found_by_name_and_turn(tmp_path: Path) -> None:
    for turn, folder in enumerate(("render", "render_45", "render_90")):
        render(tmp_path, folder, "a.png", 10 + turn)
        render(tmp_path, folder, "b.png", 50 + turn, size=(128, 64))
    render(tmp_path, "render", "c.png")
    maps = open_structure(str(tmp_path), crops("train/a.jpg", "train/b.png", "c.jpg", "d.jpg"), turns=3)
    assert maps.usable.tolist() == [True, True, False, False], "c lacks its turns"
    loaded = maps.load(np.array([1, 0, 1]), np.array([2, 0, 0]))
    assert (loaded.shape, loaded.dtype) == ((3, 1, *SIZE), torch.uint8)
    assert loaded[:, 0, 32, 16].tolist() == [52, 10, 50]
    assert loaded[:, 0, 0, 0].tolist() == [255] * 3
    assert open_structure(str(tmp_path), crops("c.jpg"), turns=1).usable.tolist() == [True]


def test_true_pictures_keep_their_colors_and_must_all_be_there(tmp_path: Path) -> None:
    for folder in ("view", "view_45"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (32, 64), (200, 100, 50)).save(tmp_path / folder / "a.png")
    images, needed = crops("a.jpg", "b.jpg"), np.array([True, False])
    pairs = open_pairs(str(tmp_path), images, turns=2, needed=needed)
    loaded = pairs.load(np.array([0]), np.array([1]))
    assert loaded.shape == (1, 3, *SIZE)
    assert loaded[0, :, 5, 5].tolist() == [200, 100, 50]
    with pytest.raises(DataError, match="1 image without, such as b") as error:
        open_pairs(str(tmp_path), images, turns=2, needed=~needed)
    assert "\n" not in str(error.value)


def test_what_is_no_folder_of_renderings_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give --structure pose"):
        open_structure("", crops("a.jpg"), turns=7)
    with pytest.raises(DataError, match=r"no folder .*absent/render of turned people"):
        open_structure(str(tmp_path / "absent"), crops("a.jpg"), turns=7)
    with pytest.raises(ConfigError, match="give --structure FOLDER"):
        open_pairs("pose", crops("a.jpg"), turns=7, needed=np.array([True]))


def test_two_images_of_one_name_cannot_share_a_rendering(tmp_path: Path) -> None:
    render(tmp_path, "render", "a.png")
    with pytest.raises(DataError, match=r"a\.png would be of two crops"):
        open_structure(str(tmp_path), crops("x/a.jpg", "y/a.jpg"), turns=1)
    with pytest.raises(DataError, match=r"2 crops of 2 lack a turned picture .* named as their crops"):
        open_structure(str(tmp_path), crops("x/b.jpg", "y/b.jpg"), turns=1)


def test_a_source_with_a_name_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Bodies(1, SIZE)
    monkeypatch.setitem(structure.SOURCES, "made", lambda images: made)
    assert open_structure("made", crops("a.jpg"), turns=1) is made


@pytest.mark.parametrize("background", [255, 0, 128])
def test_the_body_is_what_differs_from_most_of_the_border(background: int) -> None:
    maps = torch.full((2, 1, 16, 8), background, dtype=torch.uint8)
    maps[0, 0, 2:14, 2:6] = 60
    maps[1, 0, 8:, 3:5] = 60  # feet at the border
    maps[:, 0, 0, 0] = background - 3 if background else 3  # resizing is not exact
    assert torch.equal(body_mask(maps.float() / 127.5 - 1), maps == 60)
