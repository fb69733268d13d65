"""Twins of the losses of GCL's warm-ups: JVTC and MMCL."""

from __future__ import annotations

import math

from reference.vectors import dot, log_sum_exp, normalized


def shared_label_contrast(features, memory, positives, temperature):
    """JVTC's global loss: minus the mean log share of the positives in a softmax over the memory."""
    losses = []
    for feature, own in zip(features, positives, strict=True):
        logits = [dot(normalized(feature), entry) / temperature for entry in memory]
        normalizer = log_sum_exp(logits)
        terms = [normalizer - logit for logit, is_own in zip(logits, own, strict=True) if is_own]
        losses.append(sum(terms) / len(terms))
    return losses


def multi_label_loss(features, memory, positives, weight, hardest):
    """MMCL: squared distances of similarities to 1, and to -1 for the hardest negatives."""
    losses = []
    for feature, own in zip(features, positives, strict=True):
        similar = [dot(normalized(feature), entry) for entry in memory]
        pulled = [(s - 1) ** 2 for s, is_own in zip(similar, own, strict=True) if is_own]
        negatives = sorted((s for s, is_own in zip(similar, own, strict=True) if not is_own), reverse=True)
        count = max(1, math.ceil(round(hardest * len(negatives), 9))) if negatives else 0
        pushed = [(s + 1) ** 2 for s in negatives[:count]]
        losses.append(weight * sum(pulled) / len(pulled) + (sum(pushed) / count if count else 0))
    return losses


def agreed_positives(memory, row, threshold, least):
    """MPLP: the candidates of an image from the nearest on, up to the first that does not rank the image as high."""

    def nearest(i, count):
        similar = [(math.inf if j == i else dot(memory[i], memory[j])) for j in range(len(memory))]
        return sorted(range(len(memory)), key=lambda j: -similar[j])[:count]

    count = sum(j == row or dot(memory[row], memory[j]) > threshold for j in range(len(memory)))
    count = min(max(count, least), len(memory))
    found = set()
    for candidate in nearest(row, count):
        if row not in nearest(candidate, count):
            break
        found.add(candidate)
    return found
