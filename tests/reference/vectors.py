"""Lengths, products and distances of two vectors, number by number."""

from __future__ import annotations

import math


def normalized(vector):
    length = math.sqrt(sum(float(x) ** 2 for x in vector))
    return [float(x) / max(length, 1e-12) for x in vector]


def dot(a, b):
    return sum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def cosine(a, b):
    return dot(normalized(a), normalized(b))


def log_sum_exp(values):
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))


def distance(a, b):
    return math.sqrt(sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True)))
