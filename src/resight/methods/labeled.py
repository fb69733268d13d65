"""What the methods that learn from person ids share."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from resight.compute.devices import Devices
from resight.compute.tensor_files import Stateful
from resight.data.crops import Crops
from resight.data.label_columns import LABELS
from resight.errors import ConfigError
from resight.methods.updates import Accuracy, learning_rate
from resight.models.classifier import BranchClassifier, PartClassifier
from resight.models.encoder import Encoder
from resight.records import Ints


def person_labels(images: Crops, *, method: str, remedy: str) -> Ints:
    """Return the labels of images, ``(N,)``, 0..people-1.

    Args:
        images: Labeled images.
        method: The method's name, for errors.
        remedy: What else to do if a person is unknown, for errors.

    Raises:
        ConfigError: A person id is unknown, or there is only one person.
    """
    if (images.table.person_ids < 0).any():
        raise ConfigError(
            f"{method} learns from person ids: give the person of every image, for a folder of crops in its {LABELS}, "
            f"or {remedy}"
        )
    people, labels = np.unique(images.table.person_ids, return_inverse=True)
    if len(people) < 2:
        raise ConfigError(f"{method} needs two people or more to tell apart, found {len(people)}")
    return labels


class LabeledMethod:
    """The part of a method that does not depend on its losses: an encoder with classifiers of people.

    Attributes:
        network: The encoder with its classifiers.
        optimizer: Of the network.
        devices: Where it runs.
        num_people: How many people the classifiers tell apart.
        accuracy: Of the classifiers together, over an epoch.
    """

    network: BranchClassifier | PartClassifier
    optimizer: torch.optim.Optimizer
    devices: Devices
    num_people: int
    accuracy: Accuracy

    @property
    def encoder(self) -> Encoder:
        """The encoder, which is evaluated and saved; the classifiers are not."""
        return self.network.encoder

    @property
    def clusters(self) -> None:
        """None: person ids are known."""

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """Everything a checkpoint holds."""
        return {"network": self.network, "optimizer": self.optimizer}

    def end_epoch(self) -> dict[str, float]:
        """Return the learning rate and the accuracy of the classifiers together."""
        self.devices.sync_buffers(self.network)
        rate = learning_rate(self.optimizer)
        return {"people": float(self.num_people), "learning_rate": rate, "accuracy": self.accuracy.mean()}
