"""Twins of chapter 5: the losses of a generator and of the views it makes, its layers, and the memory bank."""

from __future__ import annotations

import math

import numpy as np

from reference.vectors import cosine, normalized


def view_contrast(left, right, pushed, memory, negatives, temperature):
    """Eq. 5.6 to 5.8 for each image; without negatives the sum is empty."""
    losses = []
    for u, v, p, chosen in zip(left, right, pushed, negatives, strict=True):
        pushes = sum(math.exp(cosine(p, k) / temperature) for k, used in zip(memory, chosen, strict=True) if used)
        losses.append(math.log(1 + pushes / math.exp(cosine(u, v) / temperature)))
    return losses


def chosen_negatives(labels, memory_labels, order, most, outliers):
    """Walk the memory in its random order and take images of other clusters until there are enough."""
    rows = []
    for label in labels:
        taken = []
        for image in order:
            own = int(memory_labels[image])
            if len(taken) < most and own != int(label) and (outliers or own >= 0):
                taken.append(int(image))
        rows.append(sorted(taken))
    return rows


def adversarial(scores, form, which):
    """Eq. 5.3, or its least squares, for each image: scales are summed, patches averaged."""

    def loss(score):
        probability = 1 / (1 + math.exp(-score))
        return {
            ("least-squares", "real"): (score - 1) ** 2,
            ("least-squares", "fake"): score**2,
            ("least-squares", "fooling"): (score - 1) ** 2,
            ("log", "real"): -math.log(probability),
            ("log", "fake"): -math.log(1 - probability),
            ("log", "fooling"): math.log(1 - probability),
        }[form, which]

    totals = [0.0] * len(scores[0])
    for scale in scores:
        for i, patches in enumerate(scale):
            values = [loss(float(value)) for value in np.asarray(patches).ravel()]
            totals[i] += sum(values) / len(values)
    return totals


def gradient_penalty(discriminate, images, step=1e-5):
    """The squared length of the gradient of each scale's summed scores, by central differences."""
    penalties = []
    for image in np.asarray(images, float):
        slopes = []
        for place in np.ndindex(*image.shape):
            sides = []
            for sign in (1, -1):
                moved = image.copy()
                moved[place] += sign * step
                sides.append([float(np.sum(scores)) for scores in discriminate(moved[None])])
            slopes.append([(up - down) / (2 * step) for up, down in zip(*sides, strict=True)])
        penalties.append(sum(slope**2 for each in slopes for slope in each))
    return penalties


def reconstruction(values, targets):
    """Eq. 5.1: the mean absolute difference over the numbers of an image."""
    losses = []
    for value, target in zip(np.asarray(values), np.asarray(targets), strict=True):
        differences = [abs(float(value[place]) - float(target[place])) for place in np.ndindex(*value.shape)]
        losses.append(sum(differences) / len(differences))
    return losses


def updated_memory(features, rows, batch, momentum, normalize):
    """Eq. 5.5 for the images of a batch."""
    features = np.asarray(features, float).copy()
    for row, feature in zip(rows, batch, strict=True):
        moved = momentum * features[row] + (1 - momentum) * np.array(normalized(feature))
        features[row] = normalized(moved) if normalize else moved
    return features


def mirrored_conv(maps, weight, bias, *, stride=1, dilation=1):
    """A convolution of a map with a mirrored border, pixel by pixel: (B, C, h, w) -> (B, C', h', w')."""
    reach = dilation * (weight.shape[2] // 2)
    padded = np.pad(np.asarray(maps, float), ((0, 0), (0, 0), (reach, reach), (reach, reach)), mode="reflect")
    rows, columns = (-(-side // stride) for side in maps.shape[2:])
    out = np.zeros((len(maps), len(weight), rows, columns))
    for y in range(rows):
        for x in range(columns):
            top, left = y * stride, x * stride
            window = padded[:, :, top : top + 2 * reach + 1 : dilation, left : left + 2 * reach + 1 : dilation]
            out[:, :, y, x] = np.einsum("bcij,ocij->bo", window, weight) + bias
    return out


def adapted(maps, scale, bias, eps=1e-5):
    """AdaIN: each map of each image to mean 0 and variance 1, then to what the code says."""
    maps = np.asarray(maps, float)
    out = np.zeros_like(maps)
    for b in range(maps.shape[0]):
        for c in range(maps.shape[1]):
            one = maps[b, c]
            out[b, c] = float(scale[b, c]) * (one - one.mean()) / math.sqrt(one.var() + eps) + float(bias[b, c])
    return out


def part_code(maps, parts=4):
    """The means of the parts of each channel, channel after channel."""
    codes = []
    for image in np.asarray(maps, float):
        height = image.shape[1]
        bounds = [(j * height // parts, -(-(j + 1) * height // parts)) for j in range(parts)]
        codes.append([channel[top:bottom].mean() for channel in image for top, bottom in bounds])
    return np.array(codes)
