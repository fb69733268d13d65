"""Views that a generator decodes, and the gate."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import tiny
from made_up_bodies import Bodies
from resight.compute.devices import Devices
from resight.data.crops import Crops
from resight.data.transforms import to_float
from resight.methods.view_generators import DecodedViews, Gate, draw
from resight.models.generator import Generator
from resight.models.identity_encoder import IdentityEncoder

ROWS, TURNS = np.array([3, 1, 3]), np.array([0, 2, 7])


@pytest.fixture
def views(images: Crops) -> DecodedViews:
    torch.manual_seed(1)
    encoder = tiny.encoder()
    generator = Generator(IdentityEncoder(encoder).code_width, width=0.1)
    bodies = Bodies(len(images), images.size, missing=(5,))
    return DecodedViews(encoder, generator, images=images, structure=bodies, devices=Devices(tiny.DEVICE))


def test_a_view_is_what_the_generator_makes_of_code_and_turned_structure(views: DecodedViews, images: Crops) -> None:
    drawn = views.load(ROWS, TURNS)
    assert (drawn.shape, drawn.dtype) == ((3, 3, *images.size), torch.uint8)
    assert not views.usable[5]
    encoder, generator = views._encoder, views._generator
    assert not encoder.training
    for row, turn, picture in zip(ROWS, TURNS, drawn, strict=True):
        maps = views.structure.load(np.array([row]), np.array([turn])).float() / 127.5 - 1
        with torch.no_grad():
            _, code = IdentityEncoder(encoder)(to_float(images.pixels(np.array([row]))))
            expected = (generator(maps, code) * encoder.std + encoder.mean).clamp(0, 1) * 255
        assert (picture - expected[0]).abs().max() <= 0.51
    assert not torch.equal(drawn[0], drawn[2]), "the same person, turned otherwise"


def test_batches_change_nothing(views: DecodedViews, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, turns = np.array([3, 1, 3, 7, 9]), np.array([0, 2, 7, 1, 1])
    whole = views.load(rows, turns)
    monkeypatch.setattr("resight.methods.view_generators.BATCH", 2)
    assert (views.load(rows, turns).int() - whole.int()).abs().max() <= 1


def test_mixing_goes_from_one_code_to_the_other_in_one_pose(views: DecodedViews) -> None:
    first, second = np.array([3, 3, 3]), np.array([8, 8, 8])
    mixed = views.mix(first, second, [0.0, 0.5, 1.0])
    own = views.load(first[:1], np.zeros(1, np.int64))[0]
    assert (mixed[0].int() - own.int()).abs().max() <= 1
    codes = views.codes(np.array([8]))
    swapped = views._draw(codes, first[:1], np.zeros(1, np.int64))[0]
    assert (mixed[2].int() - swapped.int()).abs().max() <= 1
    assert not torch.equal(mixed[1], mixed[0])


def test_pictures_are_drawn_by_row_and_turn(images: Crops) -> None:
    bodies = Bodies(len(images), images.size)
    drawn = draw(bodies, np.array([4, 6]), np.array([0, 3]))
    assert drawn.shape == (2, 2, *images.size, 1)
    assert np.array_equal(drawn[1, 1, ..., 0], bodies.load(np.array([6]), np.array([3]))[0, 0].numpy())


def test_the_gate_compares_each_picture_with_its_image(images: Crops) -> None:
    gate = Gate(tiny.encoder(), 0.5, Devices(tiny.DEVICE))
    pixels = images.pixels(np.arange(4)).numpy()
    vectors = gate.embed(pixels)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    cosines = gate.cosines(vectors, np.stack([pixels, pixels[::-1]], 1))
    np.testing.assert_allclose(cosines[:, 0], 1, rtol=1e-5)
    expected = [float(vectors[i].astype(float) @ vectors[3 - i].astype(float)) for i in range(4)]
    np.testing.assert_allclose(cosines[:, 1], expected, rtol=1e-5)
    larger = np.repeat(np.repeat(pixels, 2, 1), 2, 2)
    assert gate.embed(larger).shape == vectors.shape, "pictures of any size are scaled"
    assert gate.refuses([0.4, 0.5, 0.6]).tolist() == [True, False, False]
    assert not Gate(gate.encoder).refuses([-1.0]).any()
