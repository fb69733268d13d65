"""Twins of the numerics: distances, neighbors, the Jaccard distance, ranks and scores."""

from __future__ import annotations

import math

import numpy as np

from reference.vectors import cosine


def squared_distances(a, b):
    return ((np.asarray(a, float)[:, None] - np.asarray(b, float)[None]) ** 2).sum(-1)


def k_nearest(vectors, k, queries=None):
    """Sort whole rows by (distance rounded to float32, id); a row's own id first."""
    exact = squared_distances(vectors if queries is None else queries, vectors).astype(np.float32)
    ids = []
    for row, distances in enumerate(exact):
        key = [(queries is not None or j != row, d, j) for j, d in enumerate(distances)]
        ids.append([j for *_, j in sorted(key)][:k])
    return np.take_along_axis(exact, np.array(ids), 1), np.array(ids)


def jaccard(vectors, k1, k2, variant, neighbors=None, distances=None):
    """The dense N x N k-reciprocal Jaccard distance (Zhong et al. 2017, eq. 3-11), of any distances."""
    return 1 - _overlap_share(*_weights(vectors, k1, k2, variant, neighbors, distances)[:1] * 2)


def rerank(queries, gallery, k1, k2, weight):
    """Eq. 12 on the dense joint matrix; the original distance is divided by the row's maximum."""
    weights, scaled = _weights(np.concatenate([queries, gallery]), k1, k2, "abmt", None)
    size = len(queries)
    distances = 1 - _overlap_share(weights[:size], weights[size:])
    return (1 - weight) * distances + weight * scaled[:size, size:]


def source_terms(vectors, source):
    """s of the source term (facts of UDAP): the least 1 - exp(-|t - s|^2) over the source, divided by its largest."""
    least = [min(1 - math.exp(-sum((a - b) ** 2 for a, b in zip(t, s, strict=True))) for s in source) for t in vectors]
    return np.array(least) / (max(least) or 1)


def travel_times(labels, cameras, frames, interval, smoothing):
    """{(later camera, earlier camera): p by bin}, counted image by image and smoothed by the sum of the equation."""
    bins = (
        max(f for f, x in zip(frames, labels, strict=True) if x >= 0)
        - min(f for f, x in zip(frames, labels, strict=True) if x >= 0)
    ) // interval + 1
    seen = sorted({c for c, x in zip(cameras, labels, strict=True) if x >= 0})
    found = {(a, b): np.zeros(bins) for a in seen for b in seen}
    for label in sorted({x for x in labels if x >= 0}):
        when = {}
        for c, f, x in zip(cameras, frames, labels, strict=True):
            if x == label:
                when.setdefault(c, []).append(int(f))
        for c, own in when.items():
            for f in own:
                found[c, c][(f - min(own)) // interval] += len(own)
            for other, theirs in when.items():
                gap = np.mean(own) - np.mean(theirs)
                if gap > 0 or (gap == 0 and c > other):
                    found[c, other][int(gap // interval)] += 1
    reach = int(3 * smoothing + 0.5)
    for key, counts in found.items():
        if smoothing:
            bell = {d: math.exp(-d * d / 2 / smoothing**2) for d in range(-reach, reach + 1)}
            counts = np.array(
                [sum(counts[i + d] * w for d, w in bell.items() if 0 <= i + d < bins) for i in range(bins)]
            )
        found[key] = counts / (counts.sum() or 1)
    return found


def joint_distance(cosine, share):
    """1 - S of JVTC."""
    return 1 - 1 / (1 + math.exp(-5 * cosine)) / (1 + 2 * math.exp(-5 * share))


def _weights(vectors, k1, k2, variant, neighbors, distances=None):
    distances = squared_distances(vectors, vectors) if distances is None else distances
    width = k1
    if variant == "abmt":
        width = k1 + 1
        largest = distances.max(axis=0)
        distances = (distances / np.where(largest > 0, largest, 1)).T
    nearest = k_nearest(vectors, width)[1] if neighbors is None else neighbors
    half = int(np.around(k1 / 2)) + 1

    def mutual(i, length):
        return {int(j) for j in nearest[i][:length] if i in nearest[j][:length]}

    weights = np.zeros_like(distances)
    for i in range(len(vectors)):
        members = mutual(i, width)
        expanded = set(members)
        for j in members:
            candidates = mutual(j, half)
            if len(candidates & members) > 2 / 3 * len(candidates):
                expanded |= candidates
        columns = sorted(expanded)
        raw = np.exp(-distances[i, columns])
        weights[i, columns] = raw / raw.sum()
    if k2 > 1:
        weights = np.stack([weights[nearest[i][:k2]].mean(axis=0) for i in range(len(vectors))])
    return weights, distances


def _overlap_share(left, right):
    shared = np.minimum(left[:, None], right[None]).sum(-1)
    return np.minimum(shared / (2 - shared), 1)


def rho_eps(distances, rho):
    """The mean of the smallest rho share of the non-zero entries above the diagonal."""
    upper = distances[np.triu_indices(len(distances), 1)]
    upper = np.sort(upper[upper != 0])
    return upper[: max(1, int(np.round(rho * len(upper))))].mean()


def stable_eps(distances, min_samples, grid, step):
    """The eps of the grid with the most clusters, times the share of the pairs of core points that a step keeps.

    Distances are dense.
    """

    def clusters(eps):
        near = distances <= np.float32(eps)
        core = [point for point in range(len(distances)) if near[point].sum() >= min_samples]
        left, found = set(core), []
        while left:
            members, waiting = [], [left.pop()]
            while waiting:
                members.append(waiting.pop())
                reached = {point for point in left if near[members[-1], point]}
                left -= reached
                waiting += reached
            found.append(members)
        return found

    stable = {}
    for eps in grid:
        before, after = (sum(len(each) ** 2 for each in clusters(near)) for near in (eps - step, eps + step))
        stable[eps] = len(clusters(eps)) * before / max(after, 1)
    return max(stable, key=stable.get) if max(stable.values()) else grid[-1]


def valid_order(distances, query, gallery, same_camera):
    """The gallery rows that are valid for one query, nearest first, ties by row.

    ``query`` is (person, camera), ``gallery`` a list of the same.
    """
    order = sorted(range(len(gallery)), key=lambda g: (distances[g], g))
    kept = []
    for g in order:
        person, camera = gallery[g]
        if person == -1:
            continue
        if same_camera and camera != -1 and (person, camera) == tuple(query):
            continue
        kept.append(g)
    return kept


def ranks(distances, queries, gallery, *, same_camera=True, distractor_id=0):
    """For each query the list of its positives' ranks."""
    found = []
    for row, query in zip(distances, queries, strict=True):
        order = valid_order(row, query, gallery, same_camera)
        real = query[0] != -1 and query[0] != distractor_id
        found.append([r for r, g in enumerate(order) if real and gallery[g][0] == query[0]])
    return found


def average_precision(ranks, variant="step"):
    """The sum of precision times the step of recall, at each positive."""
    if not ranks:
        return math.nan
    total = 0.0
    for hits, rank in enumerate(ranks):
        precision = (hits + 1) / (rank + 1)
        if variant == "trapezoid":
            before = hits / rank if rank else 1.0
            precision = (precision + before) / 2
        total += precision / len(ranks)
    return total


def inverse_negative_penalty(ranks):
    return len(ranks) / (ranks[-1] + 1) if ranks else math.nan


def cumulative_matches(ranks, top):
    possible = [r for r in ranks if r]
    return [sum(r[0] <= k for r in possible) / len(possible) for k in range(top)]


def means(vectors, owners):
    """The mean vector of each owner 0, 1, ... ."""
    return np.stack([np.asarray(vectors, float)[owners == o].mean(axis=0) for o in range(max(owners) + 1)])


def sum_of_part_distances(a, b, parts):
    """Every part of a row to every part of another, one by one."""
    return np.array(
        [
            [
                sum(np.linalg.norm(s - t) for s in np.split(row, parts) for t in np.split(other, parts))
                for other in np.asarray(b, float)
            ]
            for row in np.asarray(a, float)
        ]
    )


def similarities(queries, gallery, indices):
    """The cosine of each query and each of its results, one by one; nan for a result that is -1."""
    pairs = zip(queries, indices, strict=True)
    return np.array([[cosine(query, gallery[g]) if g >= 0 else math.nan for g in ids] for query, ids in pairs])


def overlaps(labels, others):
    """Ge et al. 2020, eq. 5 and 6: intersection over union of the sets of images that share a cluster with an image."""

    def together(i, own):
        return {j for j in range(len(own)) if j == i or (own[j] == own[i] and own[i] >= 0)}

    pairs = [(together(i, labels), together(i, others)) for i in range(len(labels))]
    return [len(a & b) / len(a | b) for a, b in pairs]


def reliable_labels(labels, loose, tight, share, threshold=None):
    """The sets of images that stay together (Ge et al. 2020, section 3.3 and 4.1), and the threshold."""
    independence, compactness = overlaps(labels, loose), overlaps(labels, tight)
    clusters = [[i for i, label in enumerate(labels) if label == c] for c in sorted(set(labels) - {-1})]
    least = [min(independence[i] for i in members) for members in clusters]
    if threshold is None and clusters:
        threshold = sorted(least, reverse=True)[max(1, round(share * len(clusters))) - 1]
    kept = []
    for members, own in zip(clusters, least, strict=True):
        core = {i for i in members if compactness[i] == max(compactness[j] for j in members)}
        if own >= threshold and len(core) > 1:
            kept.append(core)
    return kept, threshold
