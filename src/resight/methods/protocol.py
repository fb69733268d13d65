"""What a training method is: it owns its networks and its update."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from torch import Tensor

from resight.compute.tensor_files import Stateful
from resight.models.encoder import Encoder
from resight.records import PseudoLabels


class Method(Protocol):
    """A training method. `resight.training.train.fit` calls its three functions in this order, epoch after epoch."""

    @property
    def encoder(self) -> Encoder:
        """The encoder that is evaluated, saved and searched with."""

    @property
    def clusters(self) -> PseudoLabels | None:
        """The clusters of the current epoch; None if the method learns from person ids."""

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """Everything a checkpoint holds, by name."""

    def begin_epoch(self, epoch: int) -> Iterable[Any]:
        """Prepare an epoch and return its batches."""

    def step(self, batch: Any) -> dict[str, Tensor]:
        """Learn from one batch and return the named losses."""

    def end_epoch(self) -> dict[str, float]:
        """Return the diagnostics of the epoch."""
