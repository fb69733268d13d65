"""What the functions and records of `resight` take, and what they say of what they do not."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import resight
import tiny
from resight import Features, ImageTable
from resight.data.crops import load_crops
from resight.data.dataset import Dataset
from resight.errors import ResightError


class Given:
    """Something of each kind that is right, to be mixed with what is not."""

    def __init__(self, folder: Path) -> None:
        random = np.random.default_rng(0)
        self.folder = folder
        self.paths = [str(folder / f"{i}.png") for i in range(4)]
        self.arrays = [random.integers(0, 256, (64, 32, 3), dtype=np.uint8) for _ in self.paths]
        for path, pixels in zip(self.paths, self.arrays, strict=True):
            Image.fromarray(pixels).save(path)
        self.encoder = tiny.encoder().eval()
        self.table = ImageTable(self.paths, [0, 0, 1, 1], [0, 1, 0, 1])
        self.features = resight.extract(self.encoder, load_crops(self.table, (64, 32)), devices=DEVICES)
        self.vectors = self.features.embeddings
        self.ranking = resight.rank(self.features, self.features, k=2)
        self.dataset = Dataset("drawn", folder, self.table, self.table[:0], self.table[:0])
        self.images = torch.rand(2, 3, 64, 32)
        self.clusters = resight.ClusterSettings(k1=2, k2=1)


DEVICES = resight.Devices(tiny.DEVICE)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return Given(tmp_path_factory.mktemp("given"))


class Iterated:
    """A column as data frames have them: it has a length, and becomes an array."""

    def __init__(self, *values: object) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array(self.values, dtype or object)


IDS: dict[str, Any] = {
    "a list": [1, 2, -1, 4],
    "floats that are whole": [1.0, 2.0, -1.0, 4.0],
    "an array of few bits": np.array([1, 2, -1, 4], np.int8),
    "a tensor": torch.tensor([1, 2, -1, 4]),
    "a column of a data frame": Iterated(1, 2.0, -1, np.int64(4)),
    "an iterator": (value for value in (1, 2, -1, 4)),
}


@pytest.mark.parametrize("kind", IDS)
def test_ids_are_taken_however_they_are_given(kind: str) -> None:
    table = ImageTable([Path("a.jpg"), "b.jpg", "c.jpg", b"d.jpg"], IDS[kind])
    assert table.person_ids.tolist() == [1, 2, -1, 4]
    assert table.person_ids.dtype == np.int64
    assert table.paths.tolist() == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_vectors_are_taken_in_whatever_precision(kind: torch.dtype) -> None:
    assert Features(ImageTable(["a.jpg"]), torch.tensor([[0.5, 2.0]], dtype=kind)).embeddings.tolist() == [[0.5, 2.0]]


def people(*values: object) -> Callable[[Given], Any]:
    return lambda _: ImageTable(["a.jpg", "b.jpg"][: len(values)], list(values))


Wrong = tuple[Callable[[Given], Any], str]

TABLES: list[Wrong] = [
    (people("anna", "ben"), r"person_ids must be whole numbers, found 'anna': number them \(0, 1, \.\.\.\), or let"),
    (people("1", "2"), "person_ids must be whole numbers, found '1'"),
    (people(1.0, 2.5), r"person_ids must be whole numbers, found 2\.5: number them"),
    (people(1, None), "found None: write -1 for what is unknown"),
    (people(1, math.nan), "found nan: write -1 for what is unknown"),
    (people(True, False), "person_ids must be whole numbers, found True"),
    (people(1, 2**70), "which 64 bits do not hold: number them"),
    (people(1, 10**5000), "which 64 bits do not hold"),
    (people(1, -7), "person_ids must be 0 or more, or -1 for unknown; found -7"),
    (people([1], [2]), r"person_ids must have shape \(2,\), found \(2, 1\)"),
    (people(1, [2, 3]), "person_ids must be an array with rows of equal length"),
    (lambda _: ImageTable(["a", "b"], np.array([1, 2**63], np.uint64)), "which 64 bits do not hold"),
    (lambda _: ImageTable(["a", "b"], 3), "person_ids must be a list or an array, found 3"),
    (lambda _: ImageTable(["a", "b"], [1]), r"person_ids must have shape \(2,\), found \(1,\)"),
    (lambda _: ImageTable("a.jpg"), r"paths must be a list of paths, found one: write \['a.jpg'\]"),
    (lambda _: ImageTable(None), "paths must be a list of paths, found None"),
    (lambda _: ImageTable([1, 2]), "paths must be paths, found 1"),
    (lambda g: g.table[3], r"rows must be a slice, .*; found 3"),
    (lambda g: g.table[[9]], "no such rows among 4 images"),
    (lambda g: ImageTable.concatenate(g.table, 3), "each of the tables must be an ImageTable; found 3"),
    (lambda g: Features(g.paths, np.ones((4, 2))), "table must be an ImageTable"),
    (lambda g: Features(g.table, "x"), "embeddings must be a list or an array, found 'x'"),
    (lambda g: Features(g.table, [["a"]] * 4), "embeddings must be an array of numbers, found 'a'"),
    (lambda g: Features(g.table, [[1], [2], [3], [4, 5]]), "rows of equal length"),
    (lambda g: Features(g.table, np.full((4, 2), np.nan)), "embeddings hold nan or inf"),
    (lambda g: Features(g.table, np.empty((4, 0))), r"embeddings of no numbers cannot be compared, found .*\(4, 0\)"),
    (
        lambda g: Features(g.table, np.ma.array(np.ones((4, 2)), mask=np.eye(4, 2))),
        "embeddings is a masked array with masked values",
    ),
    (lambda _: ImageTable(["a", "b"], np.ma.masked_equal([1, 2], 2)), "person_ids is a masked array"),
    (lambda _: ImageTable(np.ma.array(["a", "b"], mask=[0, 1])), "paths is a masked array"),
    (lambda g: Features(g.table, g.features), "found a Features: give its embeddings"),
    (lambda g: Features(g.table, np.ones((4, 2)), 7), "encoder must be an encoder's identity"),
    (lambda _: resight.PseudoLabels(["a"], 0.5), "labels must be whole numbers, found 'a'"),
    (lambda _: resight.PseudoLabels([0, -2], 0.5), "labels must be 0 or more, or -1 for no cluster; found -2"),
    (lambda _: resight.PseudoLabels([0], "x"), r"eps must be in \[0, inf\], found 'x'"),
    (lambda _: resight.Ranking([[0.5]], [[1]]), r"indices must be whole numbers, found 0\.5"),
    (lambda _: resight.Report([1]), r"scores must be a dict, .*; found \[1\]"),
    (lambda g: Dataset("x", g.folder, None, None, None), "train must be an ImageTable"),
    (lambda g: Dataset("x", "/nowhere/y", g.table, g.table, g.table), "there is no folder '/nowhere/y'"),
    (lambda g: Dataset("x", 3, g.table, g.table, g.table), "root must be the folder of the data set; found 3"),
    (lambda g: Dataset(3, g.folder, g.table, g.table, g.table), "name must be the name of the data set; found 3"),
]


def _closed(path: Any) -> Image.Image:
    with Image.open(path) as image:
        return image


EXTRACTS: list[Wrong] = [
    (lambda g: resight.adapt_statistics("runs/mine", g.table), "encoder must be an Encoder"),
    (lambda g: resight.adapt_statistics(g.encoder, ["a.jpg"]), "images must be an ImageTable, or decoded Crops"),
    (lambda g: resight.center_cameras(g.paths, g.features), "features must be Features, as resight.extract"),
    (lambda g: resight.extract("runs/mine", g.paths), r"encoder must be an Encoder, as resight.load_encoder\("),
    (lambda g: resight.extract(g.paths, g.encoder), "encoder must be an Encoder"),
    (lambda g: resight.extract(g.encoder, None), "images must be a path or a list of paths, .*; found None"),
    (lambda g: resight.extract(g.encoder, []), "images must be a path or a list of paths, .*; found none"),
    (lambda g: resight.extract(g.encoder, 3), "images must be a path"),
    (lambda g: resight.extract(g.encoder, ["absent.jpg"]), "absent.jpg: there is no such file"),
    (
        lambda g: resight.extract(g.encoder, [g.arrays[0] / 255]),
        r"image 0 must be \(H, W, 3\) uint8 RGB, f",
    ),
    (lambda g: resight.extract(g.encoder, g.arrays[0][:, :, 0]), "image 0 must be"),
    (
        lambda g: resight.extract(g.encoder, [g.paths[0], g.arrays[0]]),
        "images must be all paths or all pictures in memory; found paths, and a ndarray as image 1",
    ),
    (lambda g: resight.extract(g.encoder, [*g.paths, None]), "found paths, and None as image 4"),
    (lambda g: resight.extract(g.encoder, _closed(g.paths[0])), "image 0 cannot be decoded .*: load it while"),
    (lambda g: resight.extract(g.encoder, g.paths, flip="no"), "flip must be True or False, found 'no'"),
    (lambda g: resight.extract(g.encoder, g.images), "image 0 must be a path, .*found a Tensor"),
    (lambda g: resight.extract(g.encoder, g.paths, devices="cuda"), r"devices must be Devices\("),
    (
        lambda g: g.encoder.embed(g.images[0]),
        r"images must be \(B, 3, H, W\) of floats in 0..1, found \(3,",
    ),
    (lambda g: g.encoder.embed(g.paths), "images must be a .* tensor"),
    (lambda g: g.encoder.save(None), "path must be a file"),
    (lambda _: resight.Encoder("resnet50"), r"settings must be EncoderSettings\(\.\.\.\); found 'resnet50'"),
    (lambda _: resight.Encoder(tiny.ENCODER, "resnet50"), "backbone must be a Backbone"),
    (lambda _: resight.Devices("cuda"), r"settings must be DeviceSettings\(\.\.\.\); found 'cuda'"),
    (lambda g: resight.grad_cam(None, g.images), "encoder must be an Encoder"),
    (lambda g: resight.grad_cam(g.encoder, g.paths), "images must be a .* tensor in 0..1; found"),
    (lambda g: resight.grad_cam(g.encoder, g.images.byte()), "floats in 0..1, found .* of torch.uint8"),
    (lambda g: resight.grad_cam(g.encoder, g.images * 255), r"images must be in 0..1, found .*\.\..*: divide pixels"),
    (lambda g: resight.grad_cam(g.encoder, (g.images - 0.5) / 0.2), "leave the normalization to the encoder"),
    (
        lambda g: resight.grad_cam(g.encoder, g.images, target="match", others=g.images * 255),
        "others must be in 0..1",
    ),
    (lambda g: resight.grad_cam(g.encoder, g.images, parts="whole"), r"write \['whole'\]"),
    (lambda g: resight.grad_cam(g.encoder, g.images, parts=3), "parts must be a list of names; found 3"),
    (lambda g: resight.grad_cam(g.encoder, g.images, target=None), "target must be one of self, match"),
    (
        lambda g: resight.grad_cam(g.encoder, g.images, target="class", weight=torch.ones(3)),
        r"weight must be \(C, 32\), a classifier",
    ),
]

COMPARISONS: list[Wrong] = [
    (lambda g: resight.rank(g.vectors, g.vectors), r"queries must be Features, as resight.extract\("),
    (lambda g: resight.rank(g.features, None), "gallery must be Features"),
    *(
        (
            lambda g, k=k: resight.rank(g.features, g.features, k=k),
            "k must be a whole number of 1 or more, f",
        )
        for k in (0, -3, 2.5, "5", None, True)
    ),
    (lambda g: resight.rank(g.features, g.features[:0]), "the gallery is empty"),
    (lambda g: resight.center_cameras(g.features, g.features[:0]), "the gallery is empty"),
    (lambda g: resight.rank(g.features, g.features, distance_fn="cosine"), "distance_fn must be a function"),
    (
        lambda g: resight.rank(g.features, g.features, device="gpu"),
        "device must be cpu or cuda, found 'gpu'",
    ),
    (
        lambda g: resight.rank(g.features, g.features, device="mps"),
        "device is mps, but torch finds none: use cpu",
    ),
    (
        lambda g: resight.rank(g.features, g.features, distance_fn=lambda a, b: a),
        r"distance_fn must return the distances \(4, 4\) of its arrays, found \(4, 32\)",
    ),
    (
        lambda g: resight.rank(g.features, g.features, distance_fn=lambda a, b: np.full((4, 4), np.nan)),
        "the distances hold nan",
    ),
    (
        lambda g: resight.rank(g.features, g.features, distance_fn=lambda a, b: None),
        "the distances must be .*found None",
    ),
    (lambda g: resight.evaluate(g.features, g.features, distance_fn=lambda a, b: b.T), r"\(4, 4\) of its arrays"),
    (
        lambda g: resight.evaluate(g.features, g.features, rerank="no"),
        "rerank must be True or False, found 'no'",
    ),
    (
        lambda g: resight.rank(g.features, Features(g.table, g.vectors, "other")),
        "different encoders .* cannot be compared",
    ),
    (lambda g: resight.compare(g.features, g.table), "second must be Features"),
    (
        lambda g: resight.compare(g.features, Features(g.table, np.ones((4, 3)))),
        "vectors of lengths 32 and 3 cannot be compared",
    ),
    (lambda g: resight.evaluate(g.features, g.table), "gallery must be Features"),
    (lambda g: resight.evaluate(g.features, g.features, exclude=None), "exclude must be one of same-camera"),
    (
        lambda g: resight.evaluate(g.features, g.features, distractor_id=1.5),
        "distractor_id must be a whole number",
    ),
    (lambda g: resight.evaluate(g.features, g.features, distance_fn=3), "distance_fn must be a function"),
    (lambda g: resight.evaluate(g.features, g.features, provenance=3), "provenance must be a dict"),
    (lambda g: resight.evaluate(g.features[:0], g.features), "needs queries and a gallery, found 0 and 4"),
    (
        lambda g: resight.rerank(g.features, g.features),
        "query vectors must be an array, .*give its embeddings",
    ),
    (lambda g: resight.rerank(g.vectors, g.vectors, k1="a"), "k1 must be a whole number of 2 or more"),
    (lambda g: resight.rerank(g.vectors, g.vectors, weight="a"), r"weight must be in \[0, 1\], found 'a'"),
    (lambda g: resight.rerank(g.vectors, g.vectors, weight=math.nan), r"weight must be in \[0, 1\]"),
    (lambda g: resight.rerank(g.vectors, [[1.0]]), "must have the same dimension"),
    (lambda g: resight.cluster(g.vectors, None), r"settings must be ClusterSettings\(\.\.\.\); found None"),
    (lambda g: resight.cluster(g.features, g.clusters), "vectors must be an array, .*give its embeddings"),
    (lambda g: resight.cluster([], g.clusters), "vectors must have shape"),
    (lambda g: resight.cluster(g.vectors, g.clusters, people=["a"] * 4), "people must be whole numbers"),
    (lambda g: resight.cluster(g.vectors, g.clusters, people=[1, 2]), r"people must have shape \(4,\)"),
    (
        lambda g: resight.part_similarities(g.features, g.features, None, g.encoder),
        r"ranking must be a Ranking, as resight.rank\(",
    ),
    (
        lambda g: resight.part_similarities(g.features, g.features[:1], g.ranking, g.encoder),
        "the ranking names gallery row 3 of 1: rank this gallery",
    ),
]

SETS: list[Wrong] = [
    (lambda _: resight.load_dataset(1, "folder"), r"name must be the name of a data set \(market1501, .*; found 1"),
    (lambda _: resight.load_dataset("folder", 1), "root must be the data set's folder; found 1"),
    (lambda _: resight.load_dataset("folder", ""), "'' names no folder"),
    (lambda g: resight.describe(g.table), r"dataset must be a Dataset, as resight.load_dataset\("),
    (lambda g: resight.describe(g.dataset, headers=-1), "headers must be a whole number of 0 or more, found -1"),
    (lambda g: resight.verify(str(g.folder)), "dataset must be a Dataset"),
    (lambda g: resight.split_validation(g.dataset, "ALL"), "people must be .* or more, or 'all', found 'ALL'"),
    (
        lambda g: resight.split_validation(g.dataset, 2.5),
        "people must be a whole number of 1 or more, found 2.5",
    ),
    (lambda _: resight.split_validation(None, 3), "dataset must be a Dataset"),
    (lambda _: resight.synthesize(None, settings=resight.SyntheticSettings()), "root must be the folder to create"),
    (lambda g: resight.synthesize(g.folder / "new", settings=None), r"settings must be SyntheticSettings\("),
    (lambda _: resight.load_encoder(None), "path must be .*; found None"),
    (lambda g: resight.load_encoder(g.folder, which="x"), "which must be best or last, found 'x'"),
    (lambda g: resight.train("nonsense", g.dataset), "no method is called 'nonsense'"),
    (lambda g: resight.train(g.dataset, "ice"), "method must be one of ice, "),
    (lambda _: resight.train("ice", 3), "data must be a Dataset, or its name"),
    (lambda _: resight.train("ice", "folder=/nowhere"), "/nowhere"),
    (lambda g: resight.train("ice", g.dataset, epoch=3), "epoch is not a setting; did you mean 'epochs'"),
    (lambda g: resight.train("ice", g.dataset, epochs="3"), "epochs must be a whole number, found '3'"),
    (
        lambda g: resight.train("ice", g.dataset, cluster={"eps": "wide"}),
        r"cluster\.eps must be a number or auto, found",
    ),
    (lambda g: resight.train("ice", g.dataset, cluster=3), "cluster is a group of settings"),
    (lambda g: resight.train("ice", g.dataset, variant="text"), "variant must be one of code, thesis, found 'text'"),
    (lambda g: resight.train("ice", g.dataset, recipe="sight"), "no recipe 'sight'; did you mean"),
    (lambda g: resight.train("ice", g.dataset, source=3), "source must be a Dataset, or its name"),
    (lambda g: resight.train("ice", g.dataset, run=""), "run must name a folder"),
    (lambda g: resight.adapt("/nowhere", g.dataset), "no encoder at '/nowhere'"),
    (lambda g: resight.score("/nowhere", g.dataset), "drawn has no queries"),
    (lambda _: resight.score("/nowhere", 3), "data must be a Dataset"),
    (lambda g: resight.search("/nowhere.jpg", g.dataset), "/nowhere.jpg"),
    (lambda _: resight.ICESettings(epochs="3"), "epochs must be a whole number, found"),
    (lambda _: resight.ICESettings(epochs=True), "epochs must be a whole number, found"),
    (lambda _: resight.ICESettings(cluster={"eps": 0.5}), r"cluster must be ClusterSettings\("),
    (lambda _: resight.EncoderSettings(height="x"), "height must be a whole number, found"),
    (lambda _: resight.ClusterSettings(eps="a"), "eps must be a number"),
    (lambda _: resight.ClusterSettings(k1=2.5), "k1 must be a whole number"),
    (lambda _: resight.TrainSettings(device=None), r"device must be DeviceSettings\("),
    (lambda _: resight.SyntheticSettings(cameras="x"), "cameras must be a whole number"),
]


@pytest.mark.parametrize(("call", "said"), [*TABLES, *EXTRACTS, *COMPARISONS, *SETS])
def test_what_is_wrong_is_said_with_what_to_give(call: Callable[[Given], Any], said: str, given: Given) -> None:
    with pytest.raises(ResightError, match=said) as caught:
        call(given)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_every_public_name_is_tried() -> None:
    """Each name but the errors' root is called wrongly above."""
    tried = Path(__file__).read_text()
    known = set(resight.__all__) - {"ResightError", "ImageTable", "Features", "Dataset"}
    assert [name for name in sorted(known) if f"resight.{name}(" not in tried] == []


@pytest.mark.parametrize("kind", ["paths", "Paths", "iterator", "arrays", "one array", "stack", "Pillow"])
def test_images_are_embedded_however_they_are_given(kind: str, given: Given) -> None:
    images: Any = {
        "paths": given.paths,
        "Paths": [Path(path) for path in given.paths],
        "iterator": iter(given.paths),
        "arrays": given.arrays,
        "one array": given.arrays[0],
        "stack": np.stack(given.arrays),
        "Pillow": [Image.open(path) for path in given.paths],
    }[kind]
    found = resight.extract(given.encoder, images, devices=DEVICES)
    np.testing.assert_allclose(found.embeddings, given.vectors[: len(found)], atol=1e-6)
    assert len(found) == (1 if kind == "one array" else 4)


def test_one_path_is_one_image(given: Given) -> None:
    found = resight.extract(given.encoder, given.paths[2], devices=DEVICES)
    assert found.table.paths.tolist() == given.paths[2:3]
    np.testing.assert_allclose(found.embeddings, given.vectors[2:3], atol=1e-6)


def test_only_files_are_kept_for_the_next_time(given: Given, tmp_path: Path) -> None:
    for images, kept in ((given.paths, 1), (given.arrays, 1)):
        resight.extract(given.encoder, images, devices=DEVICES, cache=tmp_path)
        assert len(list(tmp_path.glob("*.safetensors"))) == kept


def test_an_encoder_is_kept_under_a_name_in_text(given: Given, tmp_path: Path) -> None:
    given.encoder.save(str(tmp_path / "e.safetensors"))
    assert (tmp_path / "e.safetensors").is_file()
