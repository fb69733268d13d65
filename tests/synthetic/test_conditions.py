"""Children, riders, umbrellas and nights: each is drawn as it should be, and as often."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from resight.synthetic import SyntheticSettings
from resight.synthetic.appearance import sample_person, sample_wardrobe
from resight.synthetic.body import Build, load_body, shape_body
from resight.synthetic.cameras import Camera, sample_camera
from resight.synthetic.gait import PEDAL, Gait
from resight.synthetic.outfit import dress, pose
from resight.synthetic.plan import plan
from resight.synthetic.render import Crop, Shot, Stance, shoot
from resight.synthetic.scenes import draw_scene
from resight.synthetic.studio import Studio

BODY = load_body()
GREEN = (0.01, 0.8, 0.01)


def camera(**changes: object) -> Camera:
    """One that changes neither colors nor edges."""
    plain = {"exposure": 1.0, "blur": 0.3, "noise": 0.0, "sharpening": 0.0, "saturation": 1.0, "haze": 0.0}
    return replace(sample_camera(np.random.default_rng(0), variation=0), pitch=0.15, **plain, **changes)


def draw(**changes: object) -> Crop:
    figure = dress(BODY, sample_person(np.random.default_rng(3), sample_wardrobe(np.random.default_rng(3))))
    shot = replace(Shot(figure, Stance(0.3, 1.5)), **changes)
    scene = draw_scene(horizon=0.4, meter=0.3, site_seed=1, scene_seed=1)
    return shoot(BODY, camera(), scene, shot, size=(128, 64), rng=np.random.default_rng(0))


def share_of(color: tuple[float, float, float], crop: Crop) -> np.ndarray:
    """Which pixels have nearly the hue of a pure color, ``(H, W)`` bool."""
    pixels = crop.pixels.astype(float)
    strongest = int(np.argmax(color))
    others = np.delete(pixels, strongest, axis=2).max(2)
    return (pixels[..., strongest] > 60) & (pixels[..., strongest] > 2 * others)


def test_a_child_is_small_and_has_a_large_head() -> None:
    def sizes(childhood: float) -> tuple[float, float]:
        vertices, joints = shape_body(BODY, Build(childhood=childhood))
        head = vertices[:, 2].max() - joints[BODY.joint("head"), 2]
        return float(np.ptp(vertices[:, 2])), float(head)

    (height, head), (small_height, small_head) = sizes(0), sizes(1)
    assert 1.0 < small_height < 1.25
    assert small_head / small_height > 1.2 * head / height
    np.testing.assert_array_equal(shape_body(BODY, Build(childhood=0.0))[0], shape_body(BODY, Build())[0])


def test_a_rider_sits_above_the_pedals_and_the_bicycle_is_below() -> None:
    figure = dress(BODY, sample_person(np.random.default_rng(3), sample_wardrobe(np.random.default_rng(3))))
    walking, riding = (pose(BODY, figure, 0.2, Gait(rides=rides)) for rides in (False, True))
    assert walking[:, 2].min() == 0
    assert abs(riding[:, 2].min() - PEDAL) < 1e-6
    crop = draw(stance=Stance(0.2, 1.5, gait=Gait(rides=True)), bicycle=GREEN)
    rows = np.flatnonzero(share_of(GREEN, crop).any(1))
    assert len(rows) > 15
    assert rows.min() > 40, "the frame is below the hips"
    assert not share_of(GREEN, draw()).any()


def test_an_umbrella_is_above_and_hides_no_more_than_the_head() -> None:
    plain, sheltered = draw(), draw(umbrella=GREEN)
    rows, columns = np.nonzero(share_of(GREEN, sheltered))
    assert len(rows) > 200
    assert rows.max() < 40
    assert np.ptp(columns) > 32
    assert plain.occluded < 0.01
    assert 0 <= sheltered.occluded < 0.2


def test_both_are_as_frequent_as_meant() -> None:
    settings = SyntheticSettings(people_train=300, people_test=0, cameras=6, crops=1, variation=1.5, seed=1)
    studio = Studio(settings)
    studio.cameras = [
        replace(each, umbrellas=share) for each, share in zip(studio.cameras, [0, 0, 0, 1, 1, 1], strict=True)
    ]
    shots = {image: studio.draw(image)[1] for image in plan(settings)[:400]}
    riders = {image.person for image, shot in shots.items() if shot.bicycle}
    assert 1 <= len(riders) < 0.2 * len({image.person for image in shots})
    for image, shot in shots.items():
        assert not (shot.bicycle and shot.umbrella), "nobody holds an umbrella and rides"
        assert bool(shot.umbrella) == (image.camera > 3 and not shot.bicycle)


def test_some_cameras_see_the_night_and_some_see_rain() -> None:
    cameras = [sample_camera(np.random.default_rng(seed), variation=1.5) for seed in range(400)]
    noisy = [each for each in cameras if each.noise > 0.012]
    assert 0.04 < len(noisy) / 400 < 0.16
    assert np.mean([each.exposure for each in noisy]) < 0.8 * np.mean([each.exposure for each in cameras])
    assert 0.06 < np.mean([each.umbrellas > 0.05 for each in cameras]) < 0.2
    still = [sample_camera(np.random.default_rng(seed), variation=0) for seed in range(100)]
    assert max(each.noise for each in still) <= 0.012
