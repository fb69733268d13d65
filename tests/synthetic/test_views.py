"""Views of drawn people: they add files to a set, and change none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resight.cli.main import main
from resight.errors import ConfigError
from resight.synthetic import SyntheticSettings, synthesize
from resight.synthetic.views import VIEWS

PLAIN = SyntheticSettings(
    people_train=1, people_test=1, cameras=2, crops=2, seed=5, height=64, width=32, distractors=0.5, junk=0.5
)


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    root = tmp_path_factory.mktemp("plain") / "set"
    synthesize(root, settings=PLAIN)
    return files(root)


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    root = tmp_path_factory.mktemp("turned") / "set"
    synthesize(root, settings=replace(PLAIN, views=4))
    return files(root)


def test_without_views_a_set_is_as_before_there_were_any(plain: dict[str, bytes]) -> None:
    assert not any(name.startswith(VIEWS) for name in plain)
    kept = json.loads(plain["dataset.json"])["settings"]
    assert not any(name.startswith("view") for name in kept)
    assert SyntheticSettings(**kept) == PLAIN


def test_views_change_no_other_file(plain: dict[str, bytes], turned: dict[str, bytes]) -> None:
    rest = {name: content for name, content in turned.items() if not name.startswith(VIEWS)}
    assert {name for name in rest if rest[name] != plain.get(name)} == {"dataset.json"}
    assert rest.keys() == plain.keys()
    assert json.loads(rest["dataset.json"])["settings"]["views"] == 4


def test_each_image_of_a_person_has_a_picture_and_a_map_for_each_angle(turned: dict[str, bytes]) -> None:
    images = [name for name in turned if name.endswith(".jpg") and not name.startswith(VIEWS)]
    people = [name for name in images if not Path(name).name.startswith(("-1", "0000"))]
    assert len(people) < len(images)
    expected = set()
    for name in people:
        for angle in ("", "_90", "_180", "_270"):
            expected |= {f"{VIEWS}/view{angle}/{Path(name).name}", f"{VIEWS}/render{angle}/{Path(name).stem}.png"}
    assert {name for name in turned if name.startswith(VIEWS)} == expected


def test_the_picture_at_angle_0_is_the_crop(turned: dict[str, bytes]) -> None:
    crops = {Path(name).name: turned[name] for name in turned if not name.startswith((VIEWS, "silhouettes"))}
    views = [name for name in turned if name.startswith(f"{VIEWS}/view/")]
    assert views
    for name in views:
        assert turned[name] == crops[Path(name).name]


def test_a_turned_picture_keeps_the_background(tmp_path: Path) -> None:
    """Only what the person covers, in one of the two pictures, differs by more than noise and compression."""
    settings = replace(PLAIN, people_test=0, views=2, height=128, width=64, occluders=0)
    root = synthesize(tmp_path / "set", settings=settings).root
    for crop in (root / VIEWS / "view").glob("*.jpg"):
        name = Path(crop.name)
        pictures, maps = (
            [
                np.asarray(Image.open(root / VIEWS / f"{kind}{angle}" / name.with_suffix(suffix)))
                for angle in ("", "_180")
            ]
            for kind, suffix in (("view", ".jpg"), ("render", ".png"))
        )
        change = np.abs(pictures[0].astype(int) - pictures[1]).max(2)
        assert change.max() > 40
        assert maps[0].shape == (256, 128)
        assert (maps[0] != maps[1]).any()
        top_corners = change[:12, [0, 1, 2, -3, -2, -1]]
        assert np.median(top_corners) < 6


def test_a_share_of_the_images_is_the_same_share_each_time(tmp_path: Path) -> None:
    settings = replace(PLAIN, people_test=0, crops=5, views=2, view_share=0.4, height=32, width=16)
    first, second = (files(synthesize(tmp_path / name, settings=settings).root) for name in ("a", "b"))
    assert first == second
    with_views = [name for name in first if name.startswith(f"{VIEWS}/render/")]
    assert 0 < len(with_views) < 10


@pytest.mark.parametrize(("name", "value"), [("views", 3), ("views", -1), ("views", 16), ("view_share", 1.5)])
def test_a_setting_out_of_range_is_named(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        replace(PLAIN, **{name: value})  # type: ignore[arg-type]


def test_the_command_says_where_views_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--people_train=1", "--people_test=0", "--cameras=2", "--crops=1", "--height=32", "--width=16"]
    assert main(["data", "synthesize", str(tmp_path / "set"), *flags, "--views=2"]) == 0
    assert str(tmp_path / "set" / VIEWS) in capsys.readouterr().out
