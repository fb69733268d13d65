"""Naive twins, written from the equations: slow, dense, in plain Python and float64."""

from __future__ import annotations

import math

import numpy as np
import torch.nn.functional as F
from torch import einsum, stack


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


# -- losses (chapter 6) --------------------------------------------------------------------------------------------


def _unit(vector):
    length = math.sqrt(sum(float(x) ** 2 for x in vector))
    return [float(x) / max(length, 1e-12) for x in vector]


def _dot(a, b):
    return sum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def _cosine(a, b):
    return _dot(_unit(a), _unit(b))


def _log_sum_exp(values):
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))


def proxy_contrast(features, labels, proxies, temperature, smoothing=0.0, ignore_mask=None):
    """Eq. 6.5 for each image, against a target of 1 - s + s/C on its cluster and s/C on every other that counts."""
    losses = []
    for i, (feature, label) in enumerate(zip(features, labels, strict=True)):
        counted = [c for c in range(len(proxies)) if ignore_mask is None or not ignore_mask[i][c]]
        logits = {c: _dot(feature, proxies[c]) / temperature for c in counted}
        normalizer = _log_sum_exp(list(logits.values()))
        losses.append(
            -sum(
                ((1 - smoothing) * (c == int(label)) + smoothing / len(counted)) * (logit - normalizer)
                for c, logit in logits.items()
            )
        )
    return losses


def camera_contrast(features, labels, cameras, proxies, temperature, negatives, own_camera, softmax, ignore_mask=None):
    """Eq. 6.7 for each image: the mean over its positives of -log of a share of a softmax."""
    losses = []
    for i, (feature, label, camera) in enumerate(zip(features, labels, cameras, strict=True)):
        similar = [
            (_cosine(feature, vector) / temperature, a, b, ignore_mask is not None and bool(ignore_mask[i][j]))
            for j, (vector, a, b) in enumerate(zip(*(list(column) for column in proxies), strict=True))
        ]
        positives = [s for s, a, b, _ in similar if a == label and (own_camera or b != camera)]
        nearest = sorted((s for s, a, _, out in similar if a != label and not out), reverse=True)[:negatives]
        terms = []
        for positive in positives:
            denominator = (positives if softmax == "joint" else [positive]) + nearest
            terms.append(_log_sum_exp(denominator) - positive)
        losses.append(sum(terms) / len(terms) if terms else 0.0)
    return losses


def hard_instance_contrast(anchors, labels, keys, key_labels, temperature, negatives, ignore_mask=None):
    """Eq. 6.9 for each anchor: its least similar positive key against the keys of other clusters."""
    losses = []
    for i, (anchor, label) in enumerate(zip(anchors, labels, strict=True)):
        pairs = zip(keys, key_labels, strict=True)
        similar = [(_cosine(anchor, key) / temperature, own == label) for key, own in pairs]
        positive = min(s for s, same in similar if same)
        others = [
            s for j, (s, same) in enumerate(similar) if not same and not (ignore_mask is not None and ignore_mask[i][j])
        ]
        if negatives == "hardest" and others:
            others = [max(others)]
        losses.append(_log_sum_exp([positive, *others]) - positive)
    return losses


def soft_instance_consistency(anchors, keys, target_anchors, target_keys, temperature, divergence):
    """Eq. 6.10 and 6.11 for each anchor, then KL(Q||P), KL(P||Q) (eq. 6.12) or the mean squared difference."""

    def shares(anchor, others):
        logits = [_cosine(anchor, other) / temperature for other in others]
        normalizer = _log_sum_exp(logits)
        return [math.exp(logit - normalizer) for logit in logits]

    losses = []
    for anchor, target_anchor in zip(anchors, target_anchors, strict=True):
        pairs = list(zip(shares(anchor, keys), shares(target_anchor, target_keys), strict=True))
        if divergence == "squared":
            losses.append(sum((p - q) ** 2 for p, q in pairs) / len(pairs))
        elif divergence == "prediction-target":
            losses.append(sum(p * math.log(p / q) for p, q in pairs))
        else:
            losses.append(sum(q * math.log(q / p) for p, q in pairs))
    return losses


# -- losses (chapter 3) --------------------------------------------------------------------------------------------


def cross_entropy(logits, labels, smoothing=0.0):
    """Eq. 3.1 for each image, against a target of 1 - s + s/C on its class and s/C on every other."""
    losses = []
    for row, label in zip(logits, labels, strict=True):
        values = [float(x) for x in row]
        normalizer = _log_sum_exp(values)
        targets = [(1 - smoothing) * (c == int(label)) + smoothing / len(values) for c in range(len(values))]
        losses.append(sum(target * (normalizer - value) for target, value in zip(targets, values, strict=True)))
    return losses


def center_loss(features, labels, centers):
    return [_distance(f, centers[int(label)]) ** 2 / 2 for f, label in zip(features, labels, strict=True)]


def moved_centers(centers, features, labels, rate):
    """Wen et al., 2016, eq. 3 and 4: each center of one set, after a batch."""
    moved = []
    for j, center in enumerate(np.asarray(centers, float)):
        own = [np.asarray(f, float) for f, label in zip(features, labels, strict=True) if int(label) == j]
        moved.append(center - rate * sum(center - x for x in own) / (1 + len(own)))
    return np.array(moved)


def residual_unit(unit, maps, stride):
    """He et al., 2016: norm, ReLU and convolution, three times; added to the maps, resized where they must be."""

    def normed(norm, x):
        each = zip(x.unbind(1), norm.running_mean, norm.running_var, norm.weight, norm.bias, strict=True)
        return stack([weight * (c - mean) / (var + norm.eps) ** 0.5 + bias for c, mean, var, weight, bias in each], 1)

    active = normed(unit.norm1, maps).clamp(min=0)
    inner = einsum("bchw,oc->bohw", active, unit.conv1.weight[:, :, 0, 0])
    inner = F.pad(normed(unit.norm2, inner).clamp(min=0), (1, 1, 1, 1))
    rows, columns = maps.shape[2:]
    windows = [[inner[:, :, y : y + rows, x : x + columns] for x in range(3)] for y in range(3)]
    inner = sum(
        einsum("bchw,oc->bohw", windows[y][x], unit.conv2.weight[:, :, y, x]) for y in range(3) for x in range(3)
    )[:, :, ::stride, ::stride]
    inner = einsum("bchw,oc->bohw", normed(unit.norm3, inner).clamp(min=0), unit.conv3.weight[:, :, 0, 0])
    if unit.shortcut is None:
        return maps + inner
    resized = einsum("bchw,oc->bohw", active, unit.shortcut.weight[:, :, 0, 0])
    return resized[:, :, ::stride, ::stride] + inner


def soft_mask(mask, maps):
    """Wang et al., 2017, figure 2, from the outside in: what is inside a pooling and its interpolation is a map too."""

    def inside(outer, level):
        pooled = F.max_pool2d(outer, 3, stride=2, padding=1)
        map_ = residual_unit(mask.down[level], pooled, 1)
        if level + 1 < len(mask.down):
            map_ = residual_unit(mask.skip[level], map_, 1) + inside(map_, level + 1)
        map_ = residual_unit(mask.up[level], map_, 1)
        return F.interpolate(map_, outer.shape[2:], mode="bilinear")

    return mask.weigh(inside(maps, 0))


def batch_hard_triplet(features, labels, margin):
    """Eq. 3.2 for each anchor; a margin of None is the soft one."""
    losses = []
    for a, anchor in enumerate(features):
        positive = max(_distance(anchor, f) for f, label in zip(features, labels, strict=True) if label == labels[a])
        negatives = [_distance(anchor, f) for f, label in zip(features, labels, strict=True) if label != labels[a]]
        losses.append(_hinge(positive - min(negatives), margin) if negatives else 0.0)
    return losses


def quadruplet(features, labels, margins):
    """The batch-hard triplet, and the same with the nearest pair of two people who are not the anchor's."""
    losses = batch_hard_triplet(features, labels, margins[0])
    everyone = range(len(features))
    for a, anchor in enumerate(features):
        positive = max(_distance(anchor, features[p]) for p in everyone if labels[p] == labels[a])
        others = [
            _distance(features[k], features[other])
            for k in everyone
            for other in everyone
            if len({int(labels[a]), int(labels[k]), int(labels[other])}) == 3
        ]
        losses[a] += _hinge(positive - min(others), margins[1]) if others else 0.0
    return losses


def circle(features, labels, margin, scale, weighed=None):
    """Circle loss eq. 6; its weights (eq. 5 and 8) are those of the ``weighed`` features, which are the same ones."""
    weighed = features if weighed is None else weighed
    losses = []
    for a in range(len(features)):
        pulled, pushed = [], []
        for b in range(len(features)):
            s, fixed = _cosine(features[a], features[b]), _cosine(weighed[a], weighed[b])
            if labels[a] != labels[b]:
                pushed.append(scale * max(fixed + margin, 0) * (s - margin))
            elif a != b:
                pulled.append(-scale * max(1 + margin - fixed, 0) * (s - (1 - margin)))
        total = _log_sum_exp(pulled) + _log_sum_exp(pushed) if pulled and pushed else -math.inf
        losses.append(total + math.log1p(math.exp(-total)) if total > 0 else math.log1p(math.exp(total)))
    return losses


# -- losses (chapter 4) --------------------------------------------------------------------------------------------


def soft_cross_entropy(logits, targets):
    """Eq. 4.4 for each image: minus the teacher's share of each class times the log of the student's."""
    losses = []
    for student, teacher in zip(logits, targets, strict=True):
        shares = [math.exp(float(t) - _log_sum_exp([float(x) for x in teacher])) for t in teacher]
        logs = [float(s) - _log_sum_exp([float(x) for x in student]) for s in student]
        losses.append(-sum(share * log for share, log in zip(shares, logs, strict=True)))
    return losses


def soft_triplet(features, targets, labels, variant):
    """Eq. 4.6 for each image with the student's hardest pair, or the whole two-class cross-entropy."""
    losses = []
    everyone = range(len(features))
    for a in everyone:
        positives = [j for j in everyone if labels[j] == labels[a]]
        negatives = [j for j in everyone if labels[j] != labels[a]]
        if not negatives:
            losses.append(0.0)
            continue
        p = max(positives, key=lambda j: _distance(features[a], features[j]))
        n = min(negatives, key=lambda j: _distance(features[a], features[j]))
        student, teacher = (
            math.exp(_distance(f[a], f[p])) / (math.exp(_distance(f[a], f[p])) + math.exp(_distance(f[a], f[n])))
            for f in (features, targets)
        )
        first = -teacher * math.log(student)
        losses.append(first - (1 - teacher) * math.log(1 - student) if variant == "two-class" else first)
    return losses


def _distance(a, b):
    return math.sqrt(sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True)))


def _hinge(difference, margin):
    return math.log1p(math.exp(difference)) if margin is None else max(difference + margin, 0.0)


# -- state that follows ----------------------------------------------------------------------------------------------


def moving_average(start, followed, momentum):
    """Eq. 6.2 applied once for each of the followed values, one number at a time."""
    average = float(start)
    for value in followed:
        average = momentum * average + (1 - momentum) * float(value)
    return average


def updated_center(center, members, momentum, by):
    """A cluster's center after a batch: moved by each of the cluster's images in turn, their mean, or the farthest."""
    unit = [_unit(member) for member in members]
    if by == "mean":
        unit = [np.mean(unit, 0)]
    elif by == "hard":
        unit = [min(unit, key=lambda member: _dot(member, center))]
    for member in unit:
        center = _unit(momentum * np.asarray(center, float) + (1 - momentum) * np.asarray(member, float))
    return center


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
    return np.array([[_cosine(query, gallery[g]) if g >= 0 else math.nan for g in ids] for query, ids in pairs])


# -- explanations ----------------------------------------------------------------------------------------------------


def grad_cam(score, maps, step=1e-4):
    """Selvaraju et al. 2017, eq. 1 and 2, for a score of one (C, h, w) map, by finite differences; scaled to 0..1."""
    channels, height, width = maps.shape
    heat = np.zeros((height, width))
    for c in range(channels):
        slopes = 0.0
        for i in range(height):
            for j in range(width):
                up, down = maps.copy(), maps.copy()
                up[c, i, j] += step
                down[c, i, j] -= step
                slopes += (score(up) - score(down)) / (2 * step)
        heat += slopes / (height * width) * maps[c]
    heat = np.maximum(heat, 0)
    return heat / heat.max() if heat.max() > 0 else heat


def part_shares(a, b, parts):
    """What each of equally long parts adds to the cosine similarity of two vectors, and its own cosine similarity."""
    whole = math.sqrt(sum(float(x) ** 2 for x in a)) * math.sqrt(sum(float(x) ** 2 for x in b))
    shares, cosines = [], []
    for s, t in zip(np.split(np.asarray(a, float), parts), np.split(np.asarray(b, float), parts), strict=True):
        product = sum(float(x) * float(y) for x, y in zip(s, t, strict=True))
        lengths = math.sqrt(sum(x**2 for x in s)) * math.sqrt(sum(y**2 for y in t))
        shares.append(product / whole)
        cosines.append(product / lengths if lengths else 0.0)
    return shares, cosines


def adam(start, gradients, rate, decay):
    """Kingma and Ba 2015, algorithm 1, decay of weights added to the gradient (L2); (steps, n) gradients."""
    value, first, second = np.array(start, float), 0.0, 0.0
    for step, gradient in enumerate(gradients, 1):
        gradient = gradient + decay * value
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        value = value - rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return value
