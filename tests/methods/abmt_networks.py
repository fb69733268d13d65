"""The networks of ABMT and of the mean teachers, and teachers that are no copy of their students."""

from __future__ import annotations

from typing import Any

import torch

import tiny
from resight.methods.abmt import ABMT

NETWORKS: dict[str, dict[str, Any]] = {"abmt": {}, "mean_teacher": tiny.MEAN_TEACHER, "mmt": tiny.MMT}


def moved(method: ABMT) -> None:
    """Take the teachers away from their students, each of their branches elsewhere."""
    generator = torch.Generator().manual_seed(0)
    for parameter in (p for teacher in method.teachers for p in teacher.parameters()):
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
