"""Twins of what moves with each step: averages, centers and weights."""

from __future__ import annotations

import numpy as np

from reference.vectors import dot, normalized


def moved_centers(centers, features, labels, rate):
    """Wen et al., 2016, eq. 3 and 4: each center of one set, after a batch."""
    moved = []
    for j, center in enumerate(np.asarray(centers, float)):
        own = [np.asarray(f, float) for f, label in zip(features, labels, strict=True) if int(label) == j]
        moved.append(center - rate * sum(center - x for x in own) / (1 + len(own)))
    return np.array(moved)


def moving_average(start, followed, momentum):
    """Eq. 6.2 applied once for each of the followed values, one number at a time."""
    average = float(start)
    for value in followed:
        average = momentum * average + (1 - momentum) * float(value)
    return average


def updated_center(center, members, momentum, by):
    """A cluster's center after a batch: moved by each of the cluster's images in turn, their mean, or the farthest."""
    unit = [normalized(member) for member in members]
    if by == "mean":
        unit = [np.mean(unit, 0)]
    elif by == "hard":
        unit = [min(unit, key=lambda member: dot(member, center))]
    for member in unit:
        center = normalized(momentum * np.asarray(center, float) + (1 - momentum) * np.asarray(member, float))
    return center


def adam(start, gradients, rate, decay, betas=(0.9, 0.999)):
    """Kingma and Ba 2015, algorithm 1, decay of weights added to the gradient (L2); (steps, n) gradients."""
    value, first, second = np.array(start, float), 0.0, 0.0
    for step, gradient in enumerate(gradients, 1):
        gradient = gradient + decay * value
        first = betas[0] * first + (1 - betas[0]) * gradient
        second = betas[1] * second + (1 - betas[1]) * gradient**2
        value = value - rate * (first / (1 - betas[0] ** step)) / (np.sqrt(second / (1 - betas[1] ** step)) + 1e-8)
    return value


def nesterov(start, gradients, rate, decay, momentum):
    """Sutskever et al., 2013, as torch writes it: a step along the gradient and what the momentum will be."""
    value, velocity = np.array(start, float), 0.0
    for gradient in gradients:
        gradient = gradient + decay * value
        velocity = momentum * velocity + gradient
        value = value - rate * (gradient + momentum * velocity)
    return value
