"""ACT: asymmetric co-teaching, adaptation without labels (Yang et al., 2020).

Two networks start from one, which is best adapted or trained on a labeled source. Each epoch, the main network embeds
all images and they are clustered. Images in a cluster are inliers; an outlier borrows the label of its nearest inlier,
which is often wrong. A network that errs confirms its own errors, so each chooses what the other learns from, and they
learn from different images:

- the collaborator learns from clean data: the inliers of a batch on which the main network loses least, each among all
  inliers of the batch,
- the main network learns from diverse data: all inliers of the batch, and those outliers on which the collaborator
  loses least; the other outliers are left out.

The share that is chosen grows with the epochs. The loss is the batch-hard triplet loss with a margin, of the features
x1 and of a projection x2 of them; nobody is classified. The main network is what is evaluated and saved.

The defaults are those of the authors' code, with these differences: a step teaches both networks, where the code takes
turns; networks choose and learn in training mode; clusters and scores compare features by their directions (the code:
by their distances); a source, if it is given, only enters the clustering's distance.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from resight.compute.devices import Devices
from resight.compute.tensor_files import Stateful
from resight.data.crops import Crops
from resight.data.samplers import identity_batches, pick_random
from resight.data.transforms import AugmentSettings
from resight.errors import ConfigError, check_least, check_shares
from resight.losses.triplet import batch_hard_triplet
from resight.methods.batches import epoch_generators, load_shard
from resight.methods.labeling import Labeling, pool_and_embed
from resight.methods.settings import PseudoLabelSettings
from resight.methods.updates import ForwardPass, mean_losses, minimize
from resight.models.encoder import Encoder, EncoderSettings
from resight.models.projected import ProjectedEncoder
from resight.numerics.clustering import ClusterSettings
from resight.numerics.neighbors import k_nearest
from resight.records import Floats, Ints, PseudoLabels
from resight.retrieval.extraction import build_encoder, embed_crops


@dataclass(frozen=True)
class ACTSettings(PseudoLabelSettings):
    """Every number of ACT.

    Attributes:
        encoder: What is trained; `encoder.neck` `none` learns and compares pooled features.
        cluster: How images are clustered; `cluster.source_weight` needs images of a source.
        freeze_eps: Keep the eps that `cluster.rho` (or `cluster.pairs_per_image`) gives in the first epoch.
        epochs: How many times the images are clustered.
        iterations: Steps of an epoch; 0 for `cluster_passes`.
        cluster_passes: How often an epoch shows each cluster, if `iterations` and `passes` are 0.
        learning_rate: Of Adam, the same in all epochs.
        margin: Of the triplet loss, in units of distance.
        projection: Whether a projection of the features, x2, learns beside them.
        keep_start: Share of images that a network chooses for the other before the first epoch.
        keep_growth: How much the share grows with each epoch, up to all images.
    """

    fewest_iterations: ClassVar[int] = 0

    encoder: EncoderSettings = field(
        default_factory=lambda: EncoderSettings(backbone="resnet50", last_stride=2, neck="none")
    )
    cluster: ClusterSettings = field(default_factory=lambda: ClusterSettings(k1=20, variant="abmt", rho=1.6e-3))
    augment: AugmentSettings = field(
        default_factory=lambda: AugmentSettings(pad=0, blur=0.0, erase=0.5, erase_area=(0.02, 0.2))
    )
    freeze_eps: bool = True
    epochs: int = 10
    iterations: int = 0
    cluster_passes: int = 30
    learning_rate: float = 6e-5
    margin: float = 0.5
    projection: bool = True
    keep_start: float = 0.2
    keep_growth: float = 0.08

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, 0, "margin")
        check_least(self, 1, "cluster_passes")
        check_shares(self, "keep_start", "keep_growth")
        if self.encoder.neck_statistics != "batch":
            raise ConfigError("ACT learns from batches: set encoder.neck_statistics to batch")

    def kept(self, epoch: int) -> float:
        """Return the share of images that are chosen in an epoch."""
        return min(1.0, self.keep_start + self.keep_growth * (epoch + 1))


class ACT:
    """The training method: two networks and the update.

    Args:
        settings: Every number of the method.
        images: The unlabeled training images. True person ids, if known, only enter the diagnostics.
        devices: Where it runs.
        seed: Seed of the batches and augmentations.
        encoder: The encoder that both networks start from; built from the settings if absent.
        source: Images of the source, which only enter the clustering's distances.

    Raises:
        ConfigError: The clustering needs source images and there are none, or there are and it needs none.
    """

    def __init__(
        self,
        settings: ACTSettings,
        images: Crops,
        *,
        devices: Devices | None = None,
        seed: int = 1,
        encoder: Encoder | None = None,
        source: Crops | None = None,
    ) -> None:
        if (source is not None) != (settings.cluster.source_weight > 0):
            raise ConfigError(
                "a source's images enter the clustering by cluster.source_weight: give --source and a weight, 0.1 is "
                "usual, or neither"
            )
        self.settings, self.images, self.source, self.seed = settings, images, source, seed
        self.devices = devices or Devices()
        encoder = encoder or build_encoder(settings.encoder, images, devices=self.devices)
        encoder.use_ghost_batches(settings.ghost_batches, processes=self.devices.world)
        self.main = self.devices.to_device(ProjectedEncoder(encoder, projection=settings.projection))
        self.collaborator = copy.deepcopy(self.main)
        # Each runs twice in a step: to choose, and to learn.
        self._main_forward = ForwardPass(self.main, self.devices, ddp=False)
        self._collaborator_forward = ForwardPass(self.collaborator, self.devices, ddp=False)
        self.main_optimizer, self.collaborator_optimizer = (
            self.devices.adam(network.parameters(), rate=settings.learning_rate, weight_decay=settings.weight_decay)
            for network in (self.main, self.collaborator)
        )
        self.labeling = Labeling(images.table, settings.cluster, freeze_eps=settings.freeze_eps)
        self.borrowed = np.full(len(images), -1)  # the label of each image; an outlier's is its nearest inlier's
        self.generator = torch.Generator()  # of augmentations; seeded again in each epoch
        self._kept = 1.0

    @property
    def encoder(self) -> Encoder:
        """The encoder of the main network, which is evaluated and saved; its projection is not."""
        return self.main.encoder

    @property
    def clusters(self) -> PseudoLabels | None:
        """The clusters of the current epoch."""
        return self.labeling.clusters

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """Everything a checkpoint holds."""
        networks: dict[str, Stateful] = {"main": self.main, "collaborator": self.collaborator}
        optimizers = {"main optimizer": self.main_optimizer, "collaborator optimizer": self.collaborator_optimizer}
        return networks | optimizers | {"labels": self.labeling}

    # -- an epoch ----------------------------------------------------------------------------------------------

    def begin_epoch(self, epoch: int) -> Iterator[Ints]:
        """Embed all images with the main network, cluster them, and return the batches: inliers, then outliers."""
        s, cameras, shape = (
            self.settings,
            self.images.table.camera_ids,
            (self.settings.identities, self.settings.images),
        )
        _, embeddings = pool_and_embed(self.encoder, self.images, devices=self.devices)
        source = None if self.source is None else embed_crops(self.encoder, self.source, devices=self.devices)
        labels = self.labeling.update(embeddings, self.devices, source=source).labels
        self.borrowed = borrow_labels(embeddings, labels)
        self._kept = s.kept(epoch)
        self._main_forward.train()
        self._collaborator_forward.train()
        batch_generator, self.generator = epoch_generators(self.seed, epoch)
        inliers = identity_batches(labels, cameras, shape, batch_generator, pick=pick_random)
        steps = s.num_steps(labels) or s.cluster_passes * max(1, (int(labels.max()) + 1) // s.identities)
        outlier_labels = np.where(labels < 0, self.borrowed, -1)
        if len(np.setdiff1d(outlier_labels, -1)) < 2:  # no two labels to tell apart
            return islice(inliers, steps)
        generator = np.random.default_rng(batch_generator.integers(2**62))
        outliers = identity_batches(outlier_labels, cameras, shape, generator, pick=pick_random)
        return islice(map(_join, inliers, outliers), steps)

    def end_epoch(self) -> dict[str, float]:
        """Return the clusters' quality and the share of images that was chosen."""
        self.devices.sync_buffers(self.main, self.collaborator)
        return {**self.labeling.diagnostics, "kept": self._kept, "learning_rate": self.settings.learning_rate}

    # -- a step ------------------------------------------------------------------------------------------------

    def step(self, batch: Ints) -> dict[str, Tensor]:
        """Learn from a batch of rows; each process learns from its shards of the inliers and of the outliers."""
        is_inlier = self.labeling.current.labels[batch] >= 0
        shard = load_shard(self.images, batch[is_inlier], self.devices)
        views = shard.augmented(self.settings.augment, self.generator)
        labels = shard.lookup(self.borrowed)

        clean = self._choose(self._main_forward, views, labels)
        taught = [self._gather(x) for x in self._collaborator_forward(views)]
        # Of the chosen images alone, few would have another one of their cluster.
        losses = {"collaborator": self._triplets(taught, labels)[clean].mean()}

        if is_inlier.all():
            diverse = [self._gather(x) for x in self._main_forward(views)]
        else:
            outliers = load_shard(self.images, batch[~is_inlier], self.devices)
            outlier_views = outliers.augmented(self.settings.augment, self.generator)
            outlier_labels = outliers.lookup(self.borrowed)
            chosen = self._choose(self._collaborator_forward, outlier_views, outlier_labels)
            sizes = [len(views), len(outlier_views)]
            both = [x.split(sizes) for x in self._main_forward(torch.cat([views, outlier_views]))]
            diverse = [torch.cat([self._gather(own), self._gather(other)[chosen]]) for own, other in both]
            labels = torch.cat([labels, outlier_labels[chosen]])
        losses["main"] = self._triplets(diverse, labels).mean()
        minimize(losses, self.main_optimizer, self.collaborator_optimizer, devices=self.devices, ddp=False)
        return mean_losses(losses, self.devices)

    def _gather(self, features: Tensor) -> Tensor:
        """Join the features of all processes, because pairs reach over their shards; each then has the whole loss."""
        return self.devices.gather(features, learn=True)

    @torch.no_grad()
    def _choose(self, forward: ForwardPass, views: Tensor, labels: Tensor) -> Tensor:
        """Return the images, of the whole batch, on which a network loses least, in their order."""
        losses = self._triplets([self._gather(x) for x in forward(views)], labels)
        count = max(1, round(self._kept * len(losses)))
        return losses.argsort(stable=True)[:count].sort().values

    def _triplets(self, features: list[Tensor], labels: Tensor) -> Tensor:
        """Return the ``(B,)`` sums of the triplet losses of x1 and x2."""
        losses = [batch_hard_triplet(x, labels, margin=self.settings.margin) for x in features]
        return torch.stack(losses).sum(0)


def borrow_labels(embeddings: Floats, labels: Ints) -> Ints:
    """Give each outlier the label of its nearest inlier.

    Args:
        embeddings: ``(N, D)`` unit vectors.
        labels: ``(N,)`` clusters, -1 for outliers.

    Returns:
        ``(N,)`` labels; all -1 if there is no inlier.
    """
    borrowed, inliers = labels.copy(), np.flatnonzero(labels >= 0)
    outliers = np.flatnonzero(labels < 0)
    if len(inliers) and len(outliers):
        _, nearest = k_nearest(embeddings[inliers], 1, queries=embeddings[outliers])
        borrowed[outliers] = labels[inliers[nearest[:, 0]]]
    return borrowed


def _join(inliers: Ints, outliers: Ints) -> Ints:
    joined: Ints = np.concatenate([inliers, outliers])
    return joined
