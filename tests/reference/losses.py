"""Twins of the losses of chapters 3, 4 and 6."""

from __future__ import annotations

import math

from reference.vectors import cosine, distance, dot, log_sum_exp


def proxy_contrast(features, labels, proxies, temperature, smoothing=0.0, ignore_mask=None):
    """Eq. 6.5 for each image, against a target of 1 - s + s/C on its cluster and s/C on every other that counts."""
    losses = []
    for i, (feature, label) in enumerate(zip(features, labels, strict=True)):
        counted = [c for c in range(len(proxies)) if ignore_mask is None or not ignore_mask[i][c]]
        logits = {c: dot(feature, proxies[c]) / temperature for c in counted}
        normalizer = log_sum_exp(list(logits.values()))
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
            (cosine(feature, vector) / temperature, a, b, ignore_mask is not None and bool(ignore_mask[i][j]))
            for j, (vector, a, b) in enumerate(zip(*(list(column) for column in proxies), strict=True))
        ]
        positives = [s for s, a, b, _ in similar if a == label and (own_camera or b != camera)]
        nearest = sorted((s for s, a, _, out in similar if a != label and not out), reverse=True)[:negatives]
        terms = []
        for positive in positives:
            denominator = (positives if softmax == "joint" else [positive]) + nearest
            terms.append(log_sum_exp(denominator) - positive)
        losses.append(sum(terms) / len(terms) if terms else 0.0)
    return losses


def hard_instance_contrast(anchors, labels, keys, key_labels, temperature, negatives, ignore_mask=None):
    """Eq. 6.9 for each anchor: its least similar positive key against the keys of other clusters."""
    losses = []
    for i, (anchor, label) in enumerate(zip(anchors, labels, strict=True)):
        pairs = zip(keys, key_labels, strict=True)
        similar = [(cosine(anchor, key) / temperature, own == label) for key, own in pairs]
        positive = min(s for s, same in similar if same)
        others = [
            s for j, (s, same) in enumerate(similar) if not same and not (ignore_mask is not None and ignore_mask[i][j])
        ]
        if negatives == "hardest" and others:
            others = [max(others)]
        losses.append(log_sum_exp([positive, *others]) - positive)
    return losses


def soft_instance_consistency(anchors, keys, target_anchors, target_keys, temperature, divergence):
    """Eq. 6.10 and 6.11 for each anchor, then KL(Q||P), KL(P||Q) (eq. 6.12) or the mean squared difference."""

    def shares(anchor, others):
        logits = [cosine(anchor, other) / temperature for other in others]
        normalizer = log_sum_exp(logits)
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


def hybrid_contrast(features, classes, entries, entry_classes, temperature):
    """Ge et al. 2020, eq. 1 for each image; a class is the mean of its entries (eq. 2), an entry alone is itself."""
    numbers = sorted({int(c) for c in entry_classes})
    means = []
    for number in numbers:
        own = [entry for entry, c in zip(entries, entry_classes, strict=True) if int(c) == number]
        means.append([sum(float(x) for x in column) / len(own) for column in zip(*own, strict=True)])
    losses = []
    for feature, label in zip(features, classes, strict=True):
        logits = {number: dot(feature, mean) / temperature for number, mean in zip(numbers, means, strict=True)}
        losses.append(log_sum_exp(list(logits.values())) - logits[int(label)])
    return losses


def intra_camera_contrast(features, labels, cameras, proxies, temperature):
    """Wang et al. 2021, the intra-camera loss: over the cameras of a batch, the sum of the means over their images."""
    total = 0.0
    for camera in {int(c) for c in cameras}:
        rivals = [
            (v, int(a)) for v, a, b in zip(*(list(column) for column in proxies), strict=True) if int(b) == camera
        ]
        losses = []
        for feature, label, own in zip(features, labels, cameras, strict=True):
            if int(own) == camera:
                logits = [(dot(feature, v) / temperature, a) for v, a in rivals]
                (positive,) = (logit for logit, a in logits if a == int(label))
                losses.append(log_sum_exp([logit for logit, _ in logits]) - positive)
        total += sum(losses) / len(losses)
    return total


def sum_over_cameras(losses, cameras):
    """The sum over cameras of the mean of their images' losses."""
    means = []
    for camera in {int(c) for c in cameras}:
        own = [loss for loss, c in zip(losses, cameras, strict=True) if int(c) == camera]
        means.append(sum(own) / len(own))
    return sum(means)


# -- losses (chapter 3) --------------------------------------------------------------------------------------------


def cross_entropy(logits, labels, smoothing=0.0):
    """Eq. 3.1 for each image, against a target of 1 - s + s/C on its class and s/C on every other."""
    losses = []
    for row, label in zip(logits, labels, strict=True):
        values = [float(x) for x in row]
        normalizer = log_sum_exp(values)
        targets = [(1 - smoothing) * (c == int(label)) + smoothing / len(values) for c in range(len(values))]
        losses.append(sum(target * (normalizer - value) for target, value in zip(targets, values, strict=True)))
    return losses


def center_loss(features, labels, centers):
    return [distance(f, centers[int(label)]) ** 2 / 2 for f, label in zip(features, labels, strict=True)]


def batch_hard_triplet(features, labels, margin):
    """Eq. 3.2 for each anchor; a margin of None is the soft one."""
    losses = []
    for a, anchor in enumerate(features):
        positive = max(distance(anchor, f) for f, label in zip(features, labels, strict=True) if label == labels[a])
        negatives = [distance(anchor, f) for f, label in zip(features, labels, strict=True) if label != labels[a]]
        losses.append(_hinge(positive - min(negatives), margin) if negatives else 0.0)
    return losses


def quadruplet(features, labels, margins):
    """The batch-hard triplet, and the same with the nearest pair of two people who are not the anchor's."""
    losses = batch_hard_triplet(features, labels, margins[0])
    everyone = range(len(features))
    for a, anchor in enumerate(features):
        positive = max(distance(anchor, features[p]) for p in everyone if labels[p] == labels[a])
        others = [
            distance(features[k], features[other])
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
            s, fixed = cosine(features[a], features[b]), cosine(weighed[a], weighed[b])
            if labels[a] != labels[b]:
                pushed.append(scale * max(fixed + margin, 0) * (s - margin))
            elif a != b:
                pulled.append(-scale * max(1 + margin - fixed, 0) * (s - (1 - margin)))
        total = log_sum_exp(pulled) + log_sum_exp(pushed) if pulled and pushed else -math.inf
        losses.append(total + math.log1p(math.exp(-total)) if total > 0 else math.log1p(math.exp(total)))
    return losses


# -- losses (chapter 4) --------------------------------------------------------------------------------------------


def soft_cross_entropy(logits, targets):
    """Eq. 4.4 for each image: minus the teacher's share of each class times the log of the student's."""
    losses = []
    for student, teacher in zip(logits, targets, strict=True):
        shares = [math.exp(float(t) - log_sum_exp([float(x) for x in teacher])) for t in teacher]
        logs = [float(s) - log_sum_exp([float(x) for x in student]) for s in student]
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
        p = max(positives, key=lambda j: distance(features[a], features[j]))
        n = min(negatives, key=lambda j: distance(features[a], features[j]))
        student, teacher = (
            math.exp(distance(f[a], f[p])) / (math.exp(distance(f[a], f[p])) + math.exp(distance(f[a], f[n])))
            for f in (features, targets)
        )
        first = -teacher * math.log(student)
        losses.append(first - (1 - teacher) * math.log(1 - student) if variant == "two-class" else first)
    return losses


def _hinge(difference, margin):
    return math.log1p(math.exp(difference)) if margin is None else max(difference + margin, 0.0)
