from __future__ import annotations

import csv
import itertools
import json
import math
import os
import re
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter1d

from resight.errors import ConfigError, DataError
from resight.synthetic import SyntheticSettings, stripe_histogram, synthesize
from resight.synthetic.appearance import BAGS, HAIR_STYLES, HATS, LOWERS, sample_person, sample_wardrobe
from resight.synthetic.body import Build, joint_transforms, load_body, shape_body, skin, turn, vertex_normals
from resight.synthetic.cameras import look, soften
from resight.synthetic.gait import Gait, walk
from resight.synthetic.outfit import dress, pose
from resight.synthetic.paint import SECOND, Surface, shade, surface_color
from resight.synthetic.plan import GALLERY, QUERY, TRAIN, Planned, plan
from resight.synthetic.raster import EMPTY, rasterise
from resight.synthetic.render import Shot
from resight.synthetic.studio import Studio

NAME = re.compile(r"(-1|\d{4})_c(\d)s(\d)_(\d{6})_(\d{2})\.jpg")
SMALL = SyntheticSettings(people_train=2, people_test=3, cameras=3, crops=3, seed=5, distractors=0.1, junk=0.1)


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic") / "set"
    synthesize(root, settings=SMALL)
    return root


@pytest.fixture(scope="module")
def rows(drawn: Path) -> list[dict[str, str]]:
    with (drawn / "annotations.csv").open() as handle:
        return list(csv.DictReader(handle))


# --- the set ---------------------------------------------------------------------------------------------------


def test_the_same_settings_give_the_same_bytes(drawn: Path, tmp_path: Path) -> None:
    synthesize(tmp_path / "again", settings=SMALL)
    assert files(tmp_path / "again") == files(drawn)


def test_another_seed_gives_other_images(drawn: Path, tmp_path: Path) -> None:
    synthesize(tmp_path / "other", settings=replace(SMALL, seed=6))
    first = {data for name, data in files(drawn).items() if name.endswith(".jpg")}
    second = {data for name, data in files(tmp_path / "other").items() if name.endswith(".jpg")}
    assert first.isdisjoint(second)


def test_an_image_does_not_depend_on_what_else_is_drawn() -> None:
    images = plan(SMALL)
    forwards, alone = Studio(SMALL), Studio(SMALL)
    drawn = [forwards.draw(image)[0].pixels for image in images[:8]]
    np.testing.assert_array_equal(alone.draw(images[7])[0].pixels, drawn[7])


def test_no_image_is_drawn_twice() -> None:
    """Many distractors and junk boxes lie about few images: each must still have a chance of its own."""
    settings = replace(SMALL, distractors=1.0, junk=1.0, height=32, width=16)
    images, studio = plan(settings), Studio(settings)
    assert sum(image.label <= 0 for image in images) > 20
    assert len({image.path for image in images}) == len(images)
    assert len({studio.draw(image)[0].pixels.tobytes() for image in images}) == len(images)


def long_visits(occluders: float) -> list[list[Shot]]:
    settings = SyntheticSettings(
        people_train=8, people_test=0, cameras=2, crops=12, seed=3, occluders=occluders, height=16, width=8
    )
    studio, visits = Studio(settings), {}
    for image in plan(settings):
        visits.setdefault(image.tracklet, []).append(studio.draw(image)[1])
    return list(visits.values())


def in_front(shot: Shot) -> list[object]:
    """Who passes in front, and the colors of what stands there."""
    return [p.figure.person for p in shot.passers if p.stance.away < 0] + [b.color for b in shot.barriers]


def test_an_occluder_stays_for_some_images_and_passes_across() -> None:
    moved = 0
    for visit in long_visits(1.0):
        runs = [len(list(group)) for _, group in itertools.groupby(visit, in_front)]
        assert min(runs[1:-1]) >= 3, "something came and went in a moment"
        for before, after in itertools.pairwise(visit):
            if before.barriers and in_front(before) == in_front(after):
                walk = math.sin(before.stance.yaw)
                if abs(walk) > 0.5:  # what stands still falls behind who walks
                    assert (after.barriers[0].left - before.barriers[0].left) * walk < 0
                    moved += 1
    assert moved > 20


def test_occluders_are_as_many_as_asked_for() -> None:
    def share(occluders: float) -> float:
        return float(np.mean([bool(in_front(shot)) for visit in long_visits(occluders) for shot in visit]))

    assert share(0.0) == 0
    assert share(1.0) == 1
    assert 0.3 < share(0.5) < 0.7


def test_other_cameras_keep_the_people_and_other_clothes_the_site() -> None:
    first = Studio(SMALL)
    moved, dressed = Studio(replace(SMALL, cameras_seed=9)), Studio(replace(SMALL, clothes_seed=9))
    assert moved.person(1) == first.person(1)
    assert moved.cameras != first.cameras
    assert dressed.cameras == first.cameras
    assert dressed.wardrobe != first.wardrobe


def test_layout_and_names(drawn: Path, rows: list[dict[str, str]]) -> None:
    assert {path.name for path in drawn.iterdir()} == {
        *(TRAIN, QUERY, GALLERY, "silhouettes"),
        *("annotations.csv", "people.json", "cameras.json", "dataset.json"),
    }
    images = sorted(path.relative_to(drawn).as_posix() for path in drawn.glob("*/*.jpg"))
    assert images == sorted(row["path"] for row in rows)
    for row in rows:
        parsed = NAME.fullmatch(row["path"].split("/")[1])
        assert parsed
        label, camera, visit, frame, _ = (int(group) for group in parsed.groups())
        expected = [label, camera, visit - 1, frame]
        assert [int(row[name]) for name in ("label", "camera", "visit", "frame")] == expected
        with Image.open(drawn / row["path"]) as image:
            assert (image.size, image.mode, image.format) == ((64, 128), "RGB", "JPEG")
    about = json.loads((drawn / "dataset.json").read_text())
    assert about["settings"]["seed"] == 5
    assert about["images"] == len(rows)
    assert len(json.loads((drawn / "cameras.json").read_text())) == 3
    assert {row["person"] for row in rows} == set(json.loads((drawn / "people.json").read_text()))


def test_people_are_in_one_part_and_seen_by_two_cameras_or_more(rows: list[dict[str, str]]) -> None:
    people = {
        folder: {int(r["label"]) for r in rows if r["path"].startswith(folder)} for folder in (TRAIN, QUERY, GALLERY)
    }
    assert people[TRAIN] == {1, 2}
    assert people[QUERY] == {3, 4, 5}
    assert people[GALLERY] == {-1, 0, 3, 4, 5}
    for person in range(1, 6):
        assert len({row["camera"] for row in rows if int(row["label"]) == person}) >= 2
    queries = [(row["label"], row["camera"]) for row in rows if row["path"].startswith(QUERY)]
    assert len(queries) == len(set(queries))
    assert set(queries) == {(r["label"], r["camera"]) for r in rows if int(r["label"]) >= 3}


def test_a_tracklet_is_one_visit(rows: list[dict[str, str]]) -> None:
    visits: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        if row["tracklet"] != "-1":
            visits.setdefault(row["tracklet"], []).append(row)
    assert len({(v[0]["person"], v[0]["camera"], v[0]["visit"]) for v in visits.values()}) == len(visits)
    for visit in visits.values():
        assert len(visit) == SMALL.crops
        assert len({(row["person"], row["camera"], row["visit"]) for row in visit}) == 1
        frames = [int(row["frame"]) for row in visit]
        assert frames == sorted(set(frames))
        yaws = np.unwrap([float(row["yaw"]) for row in visit])
        assert np.abs(np.diff(yaws)).max() < math.radians(60)


def test_silhouettes_lie_beside_the_images(drawn: Path, rows: list[dict[str, str]]) -> None:
    for row in rows:
        with Image.open(drawn / "silhouettes" / Path(row["path"]).with_suffix(".png")) as image:
            assert (image.size, image.mode) == ((64, 128), "L")
            share = float((np.asarray(image) > 127).mean())
        if int(row["label"]) > 0 and float(row["occluded"]) == 0:
            assert 0.1 < share < 0.75


def test_silhouettes_can_be_left_out(tmp_path: Path) -> None:
    counts = synthesize(
        tmp_path / "plain",
        settings=SyntheticSettings(people_train=1, people_test=0, cameras=2, crops=1, silhouettes=False),
    )
    assert (counts.train, counts.query, counts.gallery) == (2, 0, 0)
    assert not (tmp_path / "plain" / "silhouettes").exists()


def test_a_folder_with_content_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="not an empty folder"):
        synthesize(tmp_path, settings=SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_folder_may_be_there_as_long_as_it_can_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = SyntheticSettings(people_train=1, people_test=0, cameras=2, crops=1)
    empty = tmp_path / "leer und mit ü"
    empty.mkdir()
    (tmp_path / "link").symlink_to(empty)
    made = synthesize(tmp_path / "link", settings=one)
    assert made.root == empty
    assert len(list(empty.glob("*/*.jpg"))) == made.train == 2
    assert {path.name for path in tmp_path.iterdir()} == {empty.name, "link"}
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(DataError, match="current folder"):
        synthesize(Path(), settings=one)
    assert list(Path().iterdir()) == []


def test_a_set_is_as_readable_as_the_user_lets_new_folders_be(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        synthesize(tmp_path / "set", settings=SyntheticSettings(people_train=1, people_test=0, cameras=2, crops=1))
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "set").stat().st_mode) == 0o750


def test_an_interrupted_call_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(path: Path, content: object) -> None:
        raise KeyboardInterrupt

    # Every image is drawn by the time the first of these is written.
    monkeypatch.setattr("resight.synthetic.dataset._write_json", stop)
    with pytest.raises(KeyboardInterrupt):
        synthesize(tmp_path / "set", settings=SMALL)
    assert list(tmp_path.iterdir()) == []


def test_what_a_kill_left_half_drawn_goes_with_the_next_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("resight.files._delete", lambda _: None)  # a killed process tidies nothing up
        patch.setattr("resight.synthetic.dataset._write_json", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            synthesize(tmp_path / "set", settings=SMALL)
    assert len(list(tmp_path.iterdir())) == 1
    synthesize(tmp_path / "set", settings=SMALL)
    assert list(tmp_path.iterdir()) == [tmp_path / "set"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cameras", 0), ("cameras", 10), ("people_train", -1), ("people_test", -3), ("visits", 0), ("crops", 0),
        ("seed", -1), ("cameras_seed", -1), ("first_person", 0), ("occluders", 1.5), ("junk", -0.1), ("height", 0),
    ],
)  # fmt: skip
def test_a_setting_out_of_range_is_named(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        SyntheticSettings(**{name: value})  # type: ignore[arg-type]


def test_nobody_to_draw_and_too_many_ids() -> None:
    with pytest.raises(ConfigError, match="people_train"):
        SyntheticSettings(people_train=0, people_test=0)
    with pytest.raises(ConfigError, match="first_person"):
        SyntheticSettings(first_person=9990)


def test_queries_need_a_gallery() -> None:
    with pytest.raises(ConfigError, match="raise one of them, or set people_test to 0"):
        SyntheticSettings(crops=1)
    for settings in (SyntheticSettings(crops=1, visits=2), SyntheticSettings(crops=2)):
        folders = {image.path.split("/")[0] for image in plan(settings)}
        assert folders == {TRAIN, QUERY, GALLERY}


# --- tracklets -------------------------------------------------------------------------------------------------

VIDEO = SyntheticSettings(
    people_train=3, people_test=3, cameras=3, visits=2, crops=20, crops_most=60, gap=2, tracklets=True, seed=5,
    distractors=0.2, junk=0.2, silhouettes=False,
)  # fmt: skip


def by_tracklet(settings: SyntheticSettings) -> dict[int, list[Planned]]:
    visits: dict[int, list[Planned]] = {}
    for image in plan(settings):
        visits.setdefault(image.tracklet, []).append(image)
    return visits


def test_tracklets_are_whole_visits_of_the_lengths_asked_for() -> None:
    visits = by_tracklet(VIDEO)
    sizes = [len(visit) for visit in visits.values()]
    assert min(sizes) >= 20
    assert max(sizes) <= 60
    assert len(set(sizes)) > 10
    for visit in visits.values():
        assert len({image.path.split("/")[0] for image in visit}) == 1
        assert {after.frame - before.frame for before, after in itertools.pairwise(visit)} == {2}
        assert len({(image.label, image.person, image.camera) for image in visit}) == 1
    folders = [visit[0].path.split("/")[0] for visit in visits.values()]
    gallery = [visit[0].label for visit, folder in zip(visits.values(), folders, strict=True) if folder == GALLERY]
    people = sum(label > 0 for label in gallery)
    assert gallery.count(0) == gallery.count(-1) == round(0.2 * people) > 0
    assert folders.count(QUERY) == people  # of the two visits of each person and camera one is the query
    assert len({image.path for image in plan(VIDEO)}) == sum(sizes)


def test_settings_of_tracklets_out_of_range() -> None:
    with pytest.raises(ConfigError, match="tracklets needs visits of 2 or more"):
        SyntheticSettings(tracklets=True)
    with pytest.raises(ConfigError, match=r"crops_most must lie in 20\.\.1000, found 10"):
        SyntheticSettings(crops=20, crops_most=10)
    with pytest.raises(ConfigError, match="gap"):
        SyntheticSettings(gap=-1)
    assert SyntheticSettings(tracklets=True, people_test=0).tracklets


def test_a_walk_in_close_frames_is_the_same_walk_in_small_steps() -> None:
    """Eight images a frame apart are one step of the usual images."""
    coarse = SyntheticSettings(people_train=2, people_test=0, cameras=2, crops=5, seed=3, height=16, width=8)
    fine = replace(coarse, crops=33, gap=1)
    steps = {image.index: image.steps for image in plan(fine)}
    assert steps[32] == 4
    studios = Studio(coarse), Studio(fine)
    ends = {(i.tracklet, i.steps): studios[0].draw(i)[1] for i in plan(coarse)}
    for image in plan(fine):
        if image.steps in (0, 4):
            shot, end = studios[1].draw(image)[1], ends[image.tracklet, image.steps]
            assert shot.spot == pytest.approx(end.spot, abs=1e-9)
            assert math.cos(shot.stance.yaw - end.stance.yaw) > 0.9  # but for the box's own chance
    for visit in by_tracklet(fine).values():
        yaws = np.unwrap([studios[1].draw(image)[1].stance.yaw for image in visit])
        assert np.abs(np.diff(yaws)).max() < math.radians(25)


# --- the body --------------------------------------------------------------------------------------------------


def test_the_baked_body_is_sound() -> None:
    body = load_body()
    assert (body.parents[1:] < np.arange(1, len(body.parents))).all()
    np.testing.assert_allclose(body.weights.sum(1), 1, atol=1e-6)
    assert body.triangles.max() == len(body.vertices) - 1
    corners = body.vertices[body.triangles]
    volume = np.einsum("tk,tk->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
    assert 0.05 < volume < 0.11  # cubic meters: the triangles face outwards
    assert set(body.triangle_parts.tolist()) == set(range(len(body.part_names)))


def test_builds_differ_as_their_names_say() -> None:
    body = load_body()

    def extent(build: Build) -> tuple[float, float]:
        vertices, joints = shape_body(body, build)
        near = np.abs(vertices[:, 2] - joints[body.joint("spine_mid"), 2]) < 0.05
        waist = vertices[near & (np.abs(vertices[:, 0]) < 0.2)]  # without the arms
        return float(np.ptp(vertices[:, 2])), float(np.ptp(waist[:, 1]))

    assert extent(Build(gender=1))[0] > extent(Build(gender=-1))[0] + 0.05
    assert extent(Build(height=0.5))[0] > extent(Build())[0] + 0.05
    assert extent(Build(weight=1))[1] > extent(Build(weight=-1))[1] + 0.03


def test_walking_keeps_the_lengths_of_the_limbs() -> None:
    body = load_body()
    _, joints = shape_body(body, Build(gender=1, height=0.3))
    child = np.arange(1, len(joints))
    for phase in (0.0, 0.2, 0.7):
        moved = joint_transforms(joints, body.parents, walk(body, joints, Gait(), phase))
        places = np.einsum("jab,jb->ja", moved[:, :, :3], joints) + moved[:, :, 3]
        before = np.linalg.norm(joints[child] - joints[body.parents[1:]], axis=1)
        after = np.linalg.norm(places[child] - places[body.parents[1:]], axis=1)
        np.testing.assert_allclose(after, before, atol=1e-6)


def test_no_turn_leaves_the_body_at_rest() -> None:
    body = load_body()
    rest = np.tile(np.eye(3), (len(body.joints), 1, 1))
    moved = skin(body.vertices, body.bones, body.weights, joint_transforms(body.joints, body.parents, rest))
    np.testing.assert_allclose(moved, body.vertices, atol=1e-5)


def test_skinning_equals_its_plain_text() -> None:
    body = load_body()
    transforms = joint_transforms(body.joints, body.parents, walk(body, body.joints, Gait(), 0.3))
    ones = np.concatenate([body.vertices, np.ones((len(body.vertices), 1))], axis=1)
    each = np.einsum("vkab,vb->vka", transforms[body.bones], ones)
    np.testing.assert_allclose(
        skin(body.vertices, body.bones, body.weights, transforms), (each * body.weights[..., None]).sum(1), atol=1e-5
    )


def test_normals_equal_their_plain_text() -> None:
    body = load_body()
    corners = body.vertices[body.triangles]
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.zeros_like(body.vertices)
    for corner in range(3):
        np.add.at(total, body.triangles[:, corner], faces)
    expected = total / np.linalg.norm(total, axis=1, keepdims=True)
    np.testing.assert_allclose(vertex_normals(body.vertices, body.triangles), expected, atol=1e-4)


def test_a_turn_is_a_rotation() -> None:
    matrix = turn((1, 2, -0.5), 0.7)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1)
    np.testing.assert_allclose(turn((0, 0, 2), math.pi / 2) @ [1, 0, 0], [0, 1, 0], atol=1e-12)


def test_legs_move_in_turn_and_a_foot_stays_on_the_ground() -> None:
    body, rng = load_body(), np.random.default_rng(0)
    figure = dress(body, sample_person(rng, sample_wardrobe(rng)))
    for phase in np.linspace(0, 1, 5):
        assert pose(body, figure, float(phase))[:, 2].min() == pytest.approx(0, abs=1e-6)
    joints = figure.joints
    for phase, ahead, behind in ((0.0, "left", "right"), (0.5, "right", "left")):
        moved = joint_transforms(joints, body.parents, walk(body, joints, Gait(), phase))
        places = np.einsum("jab,jb->ja", moved[:, :, :3], joints) + moved[:, :, 3]
        assert places[body.joint(f"ankle_{ahead}"), 1] < places[body.joint(f"ankle_{behind}"), 1] - 0.3
        assert places[body.joint(f"wrist_{behind}"), 1] < places[body.joint(f"wrist_{ahead}"), 1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("bag", bag) for bag in BAGS), *(("hat", hat) for hat in HATS), *(("lower", lower) for lower in LOWERS),
        *(("hair_style", style) for style in HAIR_STYLES), ("hem", 0.55),
    ],
)  # fmt: skip
def test_every_outfit_is_one_sound_mesh(field: str, value: object) -> None:
    body, rng = load_body(), np.random.default_rng(3)
    figure = dress(body, replace(sample_person(rng, sample_wardrobe(rng)), **{field: value}))  # type: ignore[arg-type]
    count = len(figure.vertices)
    assert figure.triangles.min() >= 0
    assert figure.triangles.max() < count
    assert len(figure.bones) == len(figure.weights) == len(figure.coordinates) == count
    np.testing.assert_allclose(figure.weights.sum(1), 1, atol=1e-5)
    assert np.isfinite(pose(body, figure, 0.4)).all()


# --- the renderer ----------------------------------------------------------------------------------------------


def rasterise_plainly(
    points: np.ndarray, triangles: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Do what `rasterise` does, triangle by triangle over the whole image."""
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    owner, nearest = np.full((height, width), EMPTY), np.zeros((height, width))
    shares = np.zeros((height, width, 3))
    for t, corners in enumerate(points[triangles].astype(float)):
        system = np.stack([corners[:, 0], corners[:, 1], np.ones(3)])
        if abs(np.linalg.det(system)) < 1e-9:
            continue
        w = np.einsum("ab,bij->ija", np.linalg.inv(system), np.stack([columns, rows, np.ones_like(rows)]))
        closeness = w @ corners[:, 2]
        wins = (w >= 0).all(-1) & (closeness > nearest)
        owner[wins], nearest[wins] = t, closeness[wins]
        shares[wins] = (w * corners[:, 2] / closeness[..., None])[wins]
    return owner, shares


def test_rasterise_equals_its_plain_text() -> None:
    rng = np.random.default_rng(2)
    points = np.concatenate([rng.uniform(-3, 23, (24, 2)), rng.uniform(0.1, 1, (24, 1))], axis=1).astype(np.float32)
    triangles = np.concatenate([rng.integers(0, 24, (12, 3)), [[0, 0, 1]]])
    owner, shares = rasterise(points, triangles, 20, 16)
    expected_owner, expected_shares = rasterise_plainly(points, triangles, 20, 16)
    np.testing.assert_array_equal(owner, expected_owner)
    np.testing.assert_allclose(shares, expected_shares, atol=1e-3)
    assert (owner != EMPTY).any()
    assert (owner == EMPTY).any()


def test_the_nearer_triangle_hides_the_other() -> None:
    points = np.array([[0, 0, 0.1], [8, 0, 0.1], [0, 8, 0.1], [0, 0, 0.5], [8, 0, 0.5], [0, 8, 0.5]], np.float32)
    owner, _ = rasterise(points, np.array([[3, 4, 5], [0, 1, 2]]), 8, 8)
    assert set(np.unique(owner)) == {EMPTY, 0}


def test_shade_equals_its_plain_text() -> None:
    body, rng = load_body(), np.random.default_rng(4)
    figure = dress(body, sample_person(rng, sample_wardrobe(rng)))
    vertices = pose(body, figure, 0.1)
    normals = vertex_normals(vertices, figure.triangles)
    points = np.stack([16 + 14 * vertices[:, 0], 62 - 30 * vertices[:, 2], 1 / (5 + vertices[:, 1])], axis=1)
    owner, shares = rasterise(points.astype(np.float32), figure.triangles, 64, 32)
    light = np.array([0.6, -0.64, 0.48, 0.7, 0.4], np.float32)
    mesh = (figure.triangles, figure.surfaces, figure.coordinates, normals)
    pixels = shade((owner, shares), mesh, (figure.paint.colors, figure.paint.numbers), light, 2)
    expected = np.zeros((64, 32, 4))
    for row, column in np.argwhere(owner != EMPTY):
        t, s = owner[row, column], shares[row, column]
        x, y, z, along = s @ figure.coordinates[figure.triangles[t]]
        normal = s @ normals[figure.triangles[t]]
        normal = normal / np.linalg.norm(normal)
        slot, tint = surface_color.py_func(int(figure.surfaces[t]), x, y, z, along, figure.paint.numbers)
        strength = 0.7 * max(0, normal @ light[:3]) + 0.4 * (0.75 + 0.25 * normal[2])
        expected[row, column, :3] = np.minimum(1, figure.paint.colors[slot] * tint) * strength
        expected[row, column, 3] = 1
    expected = expected.reshape(32, 2, 16, 2, 4).mean((1, 3))
    close = np.isclose(pixels, expected, atol=2e-3).all(-1)
    assert close.mean() > 0.99  # a sample on the border of a pattern may fall on either side


def test_surfaces_are_worn_where_they_belong() -> None:
    rng = np.random.default_rng(0)
    person = replace(
        sample_person(rng, sample_wardrobe(rng)), pattern="plain", sleeve=0.3, hem=0.95, bag="none", print_back=0
    )
    numbers = dress(load_body(), replace(person, lower="trousers", lower_pattern=0)).paint.numbers
    upper, _ = surface_color(Surface.TORSO, 0.0, 0.1, 1.2, 0.0, numbers)
    lower, _ = surface_color(Surface.TORSO, 0.0, 0.1, 0.93, 0.0, numbers)
    leg, _ = surface_color(Surface.LEG, 0.1, 0.0, 0.7, 0.0, numbers)
    sleeve, _ = surface_color(Surface.ARM, 0.3, 0.0, 1.3, 0.2, numbers)
    hand, _ = surface_color(Surface.ARM, 0.5, 0.0, 1.1, 1.1, numbers)
    face, _ = surface_color(Surface.FACE, 0.0, 0.0, 1.7, 0.0, numbers)
    assert lower == leg
    assert upper == sleeve
    assert hand == face
    assert len({upper, lower, hand}) == 3


@pytest.mark.parametrize("height", [0.75, 0.6, 0.3])
def test_a_side_stripe_runs_down_the_outside_of_a_leg(height: float) -> None:
    """What of the leg's surface has the stripe's color: a narrow band on the outside, on both legs alike."""
    body, rng = load_body(), np.random.default_rng(0)
    person = replace(
        sample_person(rng, sample_wardrobe(rng)), lower="trousers", lower_pattern=1, hem=0.95, boot=0.09, bag="none"
    )
    figure = dress(body, person)
    legs = figure.triangles[figure.surfaces == Surface.LEG]
    shares = rng.dirichlet(np.ones(3), (len(legs), 40))  # places all over the triangles
    places = np.einsum("tpc,tcx->tpx", shares, figure.coordinates[legs]).reshape(-1, 4)
    places = places[np.abs(places[:, 2] - height) < 0.1]
    striped = np.array([surface_color(Surface.LEG, *place, figure.paint.numbers)[0] == SECOND for place in places])
    assert 0.04 < striped.mean() < 0.2, "a stripe, not a two-colored leg"
    axis = np.array([np.median(np.abs(places[:, 0])), np.median(places[:, 1])])
    assert (np.abs(places[striped, 0]) > axis[0]).all()
    assert np.abs(places[striped, 1] - axis[1]).max() < 0.06
    assert (places[striped, 0] > 0).any()
    assert (places[striped, 0] < 0).any()


def test_checked_trousers_are_checked() -> None:
    rng = np.random.default_rng(0)
    person = replace(
        sample_person(rng, sample_wardrobe(rng)), lower="trousers", lower_pattern=3, hem=0.95, boot=0.09, bag="none"
    )
    numbers = dress(load_body(), person).paint.numbers

    def dark(angle: float, z: float) -> bool:
        x, y = 0.2 - 0.09 * z + 0.07 * math.sin(angle), -0.02 - 0.07 * math.cos(angle)
        return bool(surface_color(Surface.LEG, x, y, z, 0.0, numbers)[1] < 0.9)

    around = [dark(angle, 0.5) for angle in np.linspace(-math.pi, math.pi, 120, endpoint=False)]
    down = [dark(0.2, z) for z in np.linspace(0.3, 0.66, 120, endpoint=False)]
    for cells in (around, down):
        changes = sum(a != b for a, b in zip(cells, [*cells[1:], cells[0]], strict=True))
        assert changes >= 6
        assert 0.4 < np.mean(cells) < 0.6


@pytest.mark.parametrize("sigma", [0.8, 2.5])
def test_look_and_soften_equal_their_plain_texts(sigma: float) -> None:
    scene = np.random.default_rng(1).random((12, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(look(scene, np.array([2, 3, 10, 9], np.float32), 6, 8), scene[3:9, 2:10], atol=2e-3)
    blurred = scene
    for axis in (0, 1):
        blurred = gaussian_filter1d(blurred, sigma, axis, mode="nearest", radius=max(4, math.ceil(3 * sigma)))
    np.testing.assert_allclose(soften(scene, sigma), blurred, atol=1e-5)


# --- the baseline ----------------------------------------------------------------------------------------------


def test_histograms_are_unit_vectors_that_see_stripes_and_colors() -> None:
    red, blue = np.zeros((128, 64, 3), np.uint8), np.zeros((128, 64, 3), np.uint8)
    red[..., 0], blue[..., 2] = 200, 200
    half = red.copy()
    half[64:] = blue[64:]
    vectors = stripe_histogram(np.stack([red, blue, half, half[::-1]]))
    assert vectors.shape == (4, 6 * 8 * 8 * 4)
    assert vectors.dtype == np.float32
    expected = [[1, 0, 0.5, 0.5], [0, 1, 0.5, 0.5], [0.5, 0.5, 1, 0], [0.5, 0.5, 0, 1]]
    np.testing.assert_allclose(vectors @ vectors.T, expected, atol=1e-5)
    with pytest.raises(DataError, match="6 stripes"):
        stripe_histogram(red[None, :5])
