"""MMCL: unsupervised training by multi-label classification (Wang and Zhang, 2020).

Each image is a class, and the memory holds a unit vector M of each image. An image has several labels: itself, and the
images that are similar to it in the memory and find it similar too (`agreed_positives`). Each step

- predicts the labels of the batch's images from the memory (only the image itself in the first epochs),
- pushes the similarity f·M of each image to 1 for its labels, and to -1 for the most similar hundredth of all other
  images: squared distances, so that an image of many labels does not saturate as in a softmax,
- and moves the memory of each image towards it: M ← normalize(m M + (1 - m) f); m grows with the epochs.

Nothing is clustered, and cameras are not used. In training a batch norm stands between the pooled features and the
memory; what is compared after training are the pooled features, as in the authors' code. With ``encoder.neck``
``batchnorm``, they are compared after the batch norm too.

The defaults are those of the authors' code, with these differences: a black border and a random crop stand for its
crops of another size and shape, and images are not turned; a channel's tint stands for its changes of saturation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from resight.compute.devices import Devices
from resight.compute.tensor_files import Stateful
from resight.data.camera_styles import CameraStyles
from resight.data.crops import Crops
from resight.data.samplers import shuffled_batches
from resight.data.transforms import AugmentSettings
from resight.errors import HEAVIEST, ConfigError, check_least, check_most, check_shares
from resight.losses.multilabel import agreed_positives, multi_label_loss
from resight.methods.batches import epoch_generators, load_shard
from resight.methods.settings import MethodSettings
from resight.methods.updates import (
    ForwardPass,
    learning_rate,
    mean_losses,
    minimize,
    nesterov,
    set_learning_rate,
    stepped_rate,
)
from resight.models.encoder import Encoder, EncoderSettings
from resight.models.memory import InstanceMemory
from resight.models.normed import NormedEncoder
from resight.records import Ints
from resight.retrieval.extraction import build_encoder


@dataclass(frozen=True)
class MMCLSettings(MethodSettings):
    """Every number of MMCL.

    Attributes:
        encoder: What is trained; `encoder.neck` `none` compares pooled features after training.
        epochs: How many epochs.
        iterations: Steps of an epoch; 0 for one pass over the images.
        identities: With `images`, the size of a batch: identities x images. Images are drawn one by one.
        images: See `identities`.
        learning_rate: Of the backbone's SGD.
        weight_decay: Added to the gradient (L2).
        milestones: Epochs, counted from 0, from which on the learning rate is multiplied by `decay` once more.
        decay: What the learning rate is multiplied by.
        momentum: Of SGD, which is Nesterov's.
        new_factor: How many times the learning rate of the backbone new layers have.
        norm: Whether a batch norm stands between the features and the memory in training, if `encoder.neck` is `none`.
        styles: The folder of the images in the style of other cameras (CamStyle); empty for none. An image or one of
            its versions is then drawn each time.
        labels_from: The epoch, counted from 0, from which on an image has other labels than itself.
        threshold: Similarity above which another image is a candidate for a label.
        candidates: The fewest candidates of an image, itself included.
        positive_weight: δ, the weight of similarities to the labels.
        hardest: Share of the other images, the most similar ones, that it is pushed away from.
        memory_momentum: The share of itself that a vector of the memory keeps in the end; it grows linearly from 0.
        memory_epochs: Epochs over which it grows.
        normalize_memory: Whether vectors in the memory stay of unit length.
    """

    encoder: EncoderSettings = field(default_factory=lambda: EncoderSettings(backbone="resnet50", neck="none"))
    augment: AugmentSettings = field(
        default_factory=lambda: AugmentSettings(
            blur=0.0, erase=0.5, erase_area=(0.02, 0.2), brightness=0.2, contrast=0.2, tint=0.2
        )
    )
    epochs: int = 60
    iterations: int = 0
    identities: int = 128
    images: int = 1
    learning_rate: float = 0.01
    milestones: tuple[int, ...] = (40,)
    decay: float = 0.1
    momentum: float = 0.9
    new_factor: float = 10.0
    norm: bool = True
    styles: str = ""
    labels_from: int = 6
    threshold: float = 0.6
    candidates: int = 10
    positive_weight: float = 5.0
    hardest: float = 0.01
    memory_momentum: float = 0.5
    memory_epochs: int = 60
    normalize_memory: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares(self, "decay", "momentum", "hardest", "memory_momentum")
        check_least(self, 0, "labels_from", "positive_weight", "new_factor")
        check_least(self, 1, "candidates", "memory_epochs")
        check_most(self, HEAVIEST, "positive_weight", "new_factor")
        if not -1 <= self.threshold <= 1:
            raise ConfigError(f"threshold must be a similarity in -1..1, found {self.threshold}")
        if self.encoder.neck_statistics != "batch":
            raise ConfigError("MMCL learns from batches alone: set encoder.neck_statistics to batch")


class MMCL:
    """The training method: an encoder, the memory of all images, and the update; arguments as for `ICE`.

    Raises:
        DataError: The folder of styles has none of these images.
    """

    clusters = None

    def __init__(
        self,
        settings: MMCLSettings,
        images: Crops,
        *,
        devices: Devices | None = None,
        seed: int = 1,
        encoder: Encoder | None = None,
    ) -> None:
        self.settings, self.images, self.seed = settings, images, seed
        self.styles = CameraStyles(settings.styles, images) if settings.styles else None
        self.devices = devices or Devices()
        encoder = encoder or build_encoder(settings.encoder, images, devices=self.devices)
        self.network = self.devices.to_device(
            NormedEncoder(encoder, norm=settings.norm and encoder.settings.neck == "none")
        )
        batch_shape = (settings.identities * settings.images, 3, *images.size)
        self.devices.capture_graph(encoder.train(), batch_shape, "training")
        self._forward = ForwardPass(self.network, self.devices)
        self.optimizer = nesterov(
            encoder,
            self.network.norm,
            rate=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            new_factor=settings.new_factor,
        )
        self.memory = InstanceMemory(len(images), encoder.dim, normalize=settings.normalize_memory)
        self.memory = self.memory.to(self.devices.device)
        self.generator = torch.Generator()  # of augmentations; seeded again in each epoch
        self._epoch = 0
        self._num_labels: list[Tensor] = []  # labels of an image, the mean of each step

    @property
    def encoder(self) -> Encoder:
        """The encoder, which is evaluated and saved; the batch norm of the training is not."""
        return self.network.encoder

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """Everything a checkpoint holds."""
        return {"network": self.network, "optimizer": self.optimizer, "memory": self.memory}

    def begin_epoch(self, epoch: int) -> Iterator[Ints]:
        """Set the learning rate and return the batches."""
        s = self.settings
        self._epoch, self._num_labels = epoch, []
        set_learning_rate(self.optimizer, stepped_rate(s.learning_rate, epoch, milestones=s.milestones, decay=s.decay))
        self._forward.train()
        batch_generator, self.generator = epoch_generators(self.seed, epoch)
        size, rows = s.identities * s.images, np.arange(len(self.images))
        return islice(shuffled_batches(rows, size, batch_generator), s.iterations or max(1, len(rows) // size))

    def end_epoch(self) -> dict[str, float]:
        """Return the mean number of labels of an image, and the learning rate of the backbone."""
        self.devices.sync_buffers(self.network)
        labels = float(torch.stack(self._num_labels).mean()) if self._num_labels else 1.0
        return {"labels_per_image": labels, "learning_rate": learning_rate(self.optimizer)}

    def step(self, batch: Ints) -> dict[str, Tensor]:
        """Learn from a batch of rows; each process learns from its shard."""
        s, memory = self.settings, self.memory.features
        shard = load_shard(self.images, batch, self.devices)
        if self.styles is not None:
            draws = torch.rand(len(shard.batch), generator=self.generator)
            pixels = self.styles.pixels(shard.batch[shard.span], draws[shard.span])
            shard = replace(shard, pixels=pixels.to(self.devices.device))
        features = self._forward(shard.augmented(s.augment, self.generator))
        rows = torch.from_numpy(shard.batch).to(self.devices.device)
        own = rows[shard.span]
        if self._epoch >= s.labels_from:
            positives = agreed_positives(memory, own, threshold=s.threshold, least=s.candidates)
        else:
            positives = own[:, None] == torch.arange(len(memory), device=own.device)
        losses = multi_label_loss(features, memory, positives, positive_weight=s.positive_weight, hardest=s.hardest)
        by_name = {"multi_label": losses.mean()}
        minimize(by_name, self.optimizer, devices=self.devices)
        kept = s.memory_momentum * min(1.0, self._epoch / s.memory_epochs)
        self.memory.update(rows, self.devices.gather(features), momentum=kept)
        self._num_labels.append(self.devices.mean(positives.sum(1).float().mean()))
        return mean_losses(by_name, self.devices)
