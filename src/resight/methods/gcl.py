"""GCL: joint generative and contrastive learning, training without labels (thesis ch. 5).

A generator draws each person as seen from elsewhere, from the part code of the identity encoder and the rendering of
the person's body, turned. After a warm-up in which only the generator learns, each epoch clusters the memory of all
images. Each step

- teaches the discriminator to tell real images from three generated ones (eq. 5.3),
- teaches the generator to fool it, to give back the image (eq. 5.1) and its code (eq. 5.2), straight and in a cycle,
- and, with the same gradient, the identity encoder to see the same person in image, generated view and memory, and
  other people in the rest of the memory (eq. 5.6 to 5.8).

The identity encoder is best a trained one (`start`). The defaults (`gcl_settings.py`) follow the authors' code, which
gave the published numbers; `VARIANTS["thesis"]` follows the text. They differ in these settings: the adversarial loss
(code least squares with R1 and twice the weight for the generator, text logarithms); what eq. 5.2 compares (code the
reconstructed image's code, text the novel view's); the memory (code of unit length, text as eq. 5.5); eq. 5.7 (code
pulls to the image in the memory, text to its current features); the positives of eq. 5.6 and 5.8 (code drawn
separately); negatives outside all clusters (code takes them); dilated convolutions in the structure encoder and a last
convolution in the decoder (text none); the view turned by 315 degrees (code leaves it out); when the generator's
learning rate falls (code at the start of the joint training, text 10 epochs later).

Not as in the code: an image with fewer than K negatives has as many as there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from resight.bodies.maps import StructureMaps
from resight.compute.devices import Devices
from resight.compute.tensor_files import Stateful
from resight.data.crops import Crops
from resight.data.samplers import shuffled_batches
from resight.data.transforms import to_float
from resight.errors import RunError
from resight.losses.adversarial import fakeness_loss, fooling_loss, gradient_penalty, realness_loss, reconstruction
from resight.losses.contrastive import choose_negatives, choose_positives, view_contrast
from resight.methods.batches import Shard, epoch_generators, load_shard
from resight.methods.gcl_settings import GCLSettings
from resight.methods.gcl_views import Views
from resight.methods.generator_start import start_networks
from resight.methods.labeling import Labeling, pool_and_embed
from resight.methods.structure import (
    PairedViews,
    ViewGenerator,
    check_pictures,
    check_structure,
    open_pairs,
    open_structure,
    open_views,
)
from resight.methods.updates import ForwardPass, learning_rate, mean_losses, minimize, set_learning_rate
from resight.models.discriminator import Discriminator
from resight.models.encoder import Encoder
from resight.models.generator import Generator
from resight.models.identity_encoder import IdentityEncoder
from resight.models.memory import InstanceMemory
from resight.numerics.distances import normalize
from resight.records import Ints, PseudoLabels
from resight.retrieval.extraction import build_encoder

SILENT = 1e-3
"""A discriminator that never loses more than this is never fooled, so the generator learns nothing from it."""


class GCL:
    """The training method: the identity encoder, the generator, the discriminator, the memory, and the update.

    Args:
        settings: Every number of the method.
        images: The unlabeled training images. True person ids, if known, only enter the diagnostics.
        devices: Where it runs.
        seed: Seed of the batches, views and negatives.
        encoder: The identity encoder to start from, of any method; built from the settings if absent.
        structure: The renderings of the people's bodies; opened from the settings if absent.
        pairs: True pictures of turned people, for ``pretrain`` ``pairs``; opened from the settings if absent.
        views: Turned people that another generator draws, for ``generator`` false; opened from the settings if absent.

    Raises:
        ConfigError: There is no structure, or fewer than two images have one or views.
        DataError: Structure, pairs or views are not of these images.
    """

    def __init__(
        self,
        settings: GCLSettings,
        images: Crops,
        *,
        devices: Devices | None = None,
        seed: int = 1,
        encoder: Encoder | None = None,
        structure: StructureMaps | None = None,
        pairs: PairedViews | None = None,
        views: ViewGenerator | None = None,
    ) -> None:
        self.settings, self.images, self.seed = settings, images, seed
        self.devices = devices or Devices()
        self.structure, self.pairs, self.views = None, None, None
        self._drawn_from, turns = np.ones(len(images), np.bool_), settings.angles + 1
        if settings.views or views is not None:
            self.views = views or open_views(settings.views, images, turns=turns)
            check_structure(self.views, images)
            self._drawn_from = self.views.usable
        if settings.generator:
            self.structure = structure or open_structure(settings.structure, images, turns=turns)
            check_structure(self.structure, images)
            self._drawn_from = self.structure.usable
            if settings.pretrain == "pairs":
                needed = self.structure.usable
                self.pairs = pairs or open_pairs(settings.structure, images, turns=turns, needed=needed)

        self.encoder = self.devices.to_device(encoder or build_encoder(settings.encoder, images, devices=self.devices))
        self._learned = [parameter for parameter in self.encoder.parameters() if parameter.requires_grad]
        identity_encoder = IdentityEncoder(self.encoder)
        self._encode = ForwardPass(identity_encoder, self.devices, ddp=False)  # it runs up to four times in a step
        self.encoder_optimizer = torch.optim.SGD(
            self._learned,
            lr=settings.learning_rate,
            momentum=settings.momentum,
            nesterov=settings.momentum > 0,
            weight_decay=settings.weight_decay,
        )
        if settings.generator:
            self.view_generator = self.devices.to_device(
                Generator(
                    identity_encoder.code_width,
                    width=settings.generator_width,
                    aspp=settings.aspp,
                    refinements=settings.refinements,
                    slices=settings.slices,
                )
            )
            self.discriminator = self.devices.to_device(Discriminator(width=settings.generator_width))
            if settings.generator_start:
                networks = {"generator": self.view_generator, "discriminator": self.discriminator}
                start_networks(settings.generator_start, networks, slices=settings.slices)
            self.generator_optimizer, self.discriminator_optimizer = (
                self.devices.adam(
                    network.parameters(),
                    rate=settings.generator_rate,
                    weight_decay=settings.weight_decay,
                    betas=settings.betas,
                )
                for network in (self.view_generator, self.discriminator)
            )
        self.memory = InstanceMemory(len(images), self.encoder.dim, normalize=settings.normalize_memory)
        self.memory = self.memory.to(self.devices.device)
        self.labeling = Labeling(images.table, settings.cluster)
        self.phase = settings.phase(0)
        self.generator = torch.Generator()  # of views, positives, negatives; seeded again in each epoch
        self._labels = torch.empty(0, dtype=torch.int64)  # (N,) of the epoch, on the device
        self._largest_loss = torch.tensor(torch.inf)  # of the discriminator in the epoch

    @property
    def clusters(self) -> PseudoLabels | None:
        """The clusters of the current epoch; None before the joint training."""
        return self.labeling.clusters if self.labeling.current.num_clusters else None

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """Everything a checkpoint holds."""
        parts: dict[str, Stateful] = {"encoder": self.encoder, "encoder optimizer": self.encoder_optimizer}
        if self.settings.generator:
            parts |= {"generator": self.view_generator, "generator optimizer": self.generator_optimizer}
            parts |= {"discriminator": self.discriminator, "discriminator optimizer": self.discriminator_optimizer}
        return parts | ({"memory": self.memory, "labels": self.labeling} if self.settings.contrasts else {})

    # -- an epoch ----------------------------------------------------------------------------------------------

    def begin_epoch(self, epoch: int) -> Iterator[Ints]:
        """Freeze the identity encoder, or cluster the memory; and return the batches."""
        s = self.settings
        self.phase = s.phase(epoch)
        encoder_rate, generator_rate = s.rates(epoch)
        set_learning_rate(self.encoder_optimizer, encoder_rate)
        drawn_from = self._drawn_from
        if self.phase == "joint" and s.contrasts:
            drawn_from = drawn_from & (self._cluster() >= 0)
            if drawn_from.sum() < 2:
                raise RunError("no two images in clusters have a rendering: see that the structure is of these images")
        for parameter in self._learned:
            parameter.requires_grad_(self.phase == "joint")
        self._encode.train(self.phase == "joint")
        if s.generator:
            self.view_generator.train()
            self.discriminator.train()
            for optimizer in (self.generator_optimizer, self.discriminator_optimizer):
                set_learning_rate(optimizer, generator_rate)
        self._largest_loss = torch.tensor(-torch.inf, device=self.devices.device)
        batch_generator, self.generator = epoch_generators(self.seed, epoch)
        rows, size = np.flatnonzero(drawn_from), s.identities * s.images
        return islice(shuffled_batches(rows, size, batch_generator), s.iterations or max(1, len(rows) // size))

    def _cluster(self) -> Ints:
        """Cluster the memory, which is filled at the start of the joint training, and return the labels."""
        is_start = self.memory.is_empty
        if is_start or self.settings.encoder.neck_statistics == "dataset":
            _, embeddings = pool_and_embed(self.encoder, self.images, devices=self.devices)
            if is_start:
                self.memory.fill(embeddings)
        labels = self.labeling.update(normalize(self.memory.features.cpu().numpy()), self.devices)
        if labels.num_clusters < 2:
            raise RunError(
                f"found {labels.num_clusters} cluster(s), training needs two or more: raise --cluster.rho if most "
                "images are outliers, lower it if one cluster holds them all"
            )
        self._labels = torch.from_numpy(labels.labels.copy()).to(self.devices.device)
        return labels.labels

    def end_epoch(self) -> dict[str, float]:
        """Return the clusters' quality and the learning rates.

        Raises:
            RunError: The discriminator was never fooled.
        """
        self.devices.sync_buffers(self.encoder)
        if float(self._largest_loss) < SILENT and self._largest_loss.isfinite():
            raise RunError(
                f"the discriminator lost less than {SILENT:g} in each step of the epoch, so the generator learns "
                "nothing from it: lower --generator_rate or raise --penalty_weight; the last checkpoint is intact"
            )
        values = self.labeling.diagnostics if self.phase == "joint" and self.settings.contrasts else {}
        values = {**values, "learning_rate": learning_rate(self.encoder_optimizer)}
        if self.settings.generator:
            values["generator_rate"] = learning_rate(self.generator_optimizer)
        return values

    # -- a step ------------------------------------------------------------------------------------------------

    def step(self, batch: Ints) -> dict[str, Tensor]:
        """Learn from a batch of rows; each process learns from its shard."""
        s = self.settings
        shard = load_shard(self.images, batch, self.devices)
        if self.phase == "pairs":
            return self._learn_pairs(shard)
        if not s.generator:
            features, _ = self._encode(shard.augmented(s.augment, self.generator))
            novel_features = None
            if self.views is not None:
                novel_features, _ = self._encode(self._load(self.views, shard, self._draw_turns(shard)))
            losses = self._view_losses(shard, features, novel_features)
            minimize(losses, self.encoder_optimizer, devices=self.devices, ddp=False)
            self._remember(shard, features)
            return mean_losses(losses, self.devices)

        views = self._generate(shard)
        discriminator_losses = self._learn_discriminator(views)
        losses = self._generator_losses(views)  # eq. 5.4
        if self.phase == "warmup":
            minimize(losses, self.generator_optimizer, devices=self.devices, ddp=False)
            return discriminator_losses | mean_losses(losses, self.devices)
        if s.contrasts:
            losses |= self._view_losses(shard, views.features, views.novel_features)
        minimize(losses, self.generator_optimizer, self.encoder_optimizer, devices=self.devices, ddp=False)  # eq. 5.9
        if s.contrasts:
            self._remember(shard, views.features)
        return discriminator_losses | mean_losses(losses, self.devices)

    def _remember(self, shard: Shard, features: Tensor) -> None:
        """Move the memory of a batch's images towards their features (eq. 5.5)."""
        rows = torch.from_numpy(shard.batch).to(self.devices.device)
        self.memory.update(rows, self.devices.gather(features), momentum=self.settings.memory_momentum)

    # -- the generator -----------------------------------------------------------------------------------------

    def _generate(self, shard: Shard) -> Views:
        """Generate each image anew, a turned view of it, and from that view the image again."""
        images = shard.plain()
        features, code = self._encode(images)
        turns = self._draw_turns(shard)
        with self.devices.autocast("training"):
            own, turned = self.view_generator.encode_structure(
                torch.cat([self._structure_maps(shard, np.zeros_like(turns)), self._structure_maps(shard, turns)])
            ).chunk(2)
        reconstructed, novel = self._decode(own, code), self._decode(turned, code)
        compared = None
        if self.settings.feature_view == "reconstructed":
            _, compared = self._encode(self._pixels(reconstructed))
        novel_features, novel_code = self._encode(self._pixels(novel))
        cycled = self._decode(own, novel_code)
        _, cycled_code = self._encode(self._pixels(cycled))
        codes = (novel_code if compared is None else compared, cycled_code)
        real = self._normalized(images)
        return Views(real, features, code, reconstructed, novel, novel_features, cycled, codes)

    def _draw_turns(self, shard: Shard, *, least: int = 1) -> Ints:
        """Draw a turn for each image of the whole batch."""
        count = len(shard.batch)
        turns: Ints = torch.randint(least, self.settings.angles + 1, (count,), generator=self.generator).numpy()
        return turns

    def _load(self, pictures: PairedViews, shard: Shard, turns: Ints) -> Tensor:
        """Load ``(S, 3, H, W)`` pictures of a shard's people, in 0..1; ``turns`` are those of the whole batch."""
        loaded = pictures.load(shard.batch[shard.span], turns[shard.span])
        check_pictures(loaded, (len(shard.pixels), 3, *self.images.size))
        return to_float(loaded.to(self.devices.device).permute(0, 2, 3, 1))

    def _decode(self, structure: Tensor, code: Tensor) -> Tensor:
        with self.devices.autocast("training"):
            return self.view_generator.decode(structure, code)

    def _structure_maps(self, shard: Shard, turns: Ints) -> Tensor:
        """Load the ``(S, 1, H, W)`` structure maps of a shard, in -1..1; ``turns`` are those of the whole batch."""
        assert self.structure is not None
        maps = self.structure.load(shard.batch[shard.span], turns[shard.span])
        check_pictures(maps, (len(shard.pixels), 1, *self.images.size))
        return maps.to(self.devices.device).float() / 127.5 - 1

    def _normalized(self, images: Tensor) -> Tensor:
        return (images - self.encoder.mean) / self.encoder.std

    def _pixels(self, generated: Tensor) -> Tensor:
        return generated * self.encoder.std + self.encoder.mean

    def _learn_discriminator(self, views: Views) -> dict[str, Tensor]:
        """Take the discriminator's step, in float32: eq. 5.3 has the real images once for each generated one."""
        s, count = self.settings, len(views.generated)
        real = views.images.detach().requires_grad_(s.penalty_weight > 0)
        real_scores = self.discriminator(real)
        scores = self.discriminator(torch.cat(views.generated).detach())
        fakeness = fakeness_loss(scores, form=s.adversarial).mean()
        realness = realness_loss(real_scores, form=s.adversarial).mean()
        losses = {"discriminator": count * (fakeness + realness)}
        if s.penalty_weight:
            losses["penalty"] = count * s.penalty_weight * gradient_penalty(real_scores, real).mean()
        minimize(losses, self.discriminator_optimizer, devices=self.devices, ddp=False)
        means = mean_losses(losses, self.devices)
        self._largest_loss = torch.maximum(self._largest_loss, means["loss/discriminator"])
        return means

    def _generator_losses(self, views: Views) -> dict[str, Tensor]:
        """Return L_gan of eq. 5.4, term by term."""
        s, count = self.settings, len(views.generated)
        losses = {}
        if s.image_weight:  # eq. 5.1
            straight, cycle = (reconstruction(x, views.images) for x in (views.reconstructed, views.cycled))
            losses["image"] = s.image_weight * (straight + cycle).mean()
        if s.feature_weight:  # eq. 5.2
            first, cycle = (reconstruction(code, views.code) for code in views.codes)
            losses["feature"] = s.feature_weight * (first + cycle).mean()
        if s.adversarial_weight:  # eq. 5.3
            self.discriminator.requires_grad_(False)  # it only passes gradients on
            scores = self.discriminator(torch.cat(views.generated))
            self.discriminator.requires_grad_(True)
            losses["adversarial"] = s.adversarial_weight * count * fooling_loss(scores, form=s.adversarial).mean()
        return losses

    def _learn_pairs(self, shard: Shard) -> dict[str, Tensor]:
        """Teach the generator the true picture of an image's code and its turned body, with the background.

        Without a loss on the background, colors would spread over it, and the body would have no outline.
        """
        assert self.structure is not None
        assert self.pairs is not None
        turns = self._draw_turns(shard, least=0)
        target = self._normalized(self._load(self.pairs, shard, turns))
        maps = self._structure_maps(shard, turns)
        _, code = self._encode(shard.plain())
        with self.devices.autocast("training"):
            structure = self.view_generator.encode_structure(maps)
        distance = reconstruction(self._decode(structure, code), target)
        losses = {"pairs": self.settings.image_weight * distance.mean()}
        minimize(losses, self.generator_optimizer, devices=self.devices, ddp=False)
        return mean_losses(losses, self.devices)

    # -- the contrast ------------------------------------------------------------------------------------------

    def _view_losses(self, shard: Shard, features: Tensor, novel: Tensor | None) -> dict[str, Tensor]:
        """Return the losses of eq. 5.6, 5.7 and 5.8, as far as they have a weight; without a view, L_vi^woGAN."""
        s, memory = self.settings, self.memory.features
        labels = shard.lookup(self.labeling.current.labels)[shard.span]
        order = torch.randperm(len(memory), generator=self.generator).to(memory.device)
        negatives = choose_negatives(labels, self._labels, order, most=s.negatives, outliers=s.outlier_negatives)
        positives = self._positives(shard, labels)
        pairs = {"original": (features, positives)}
        pushed = features
        if novel is not None:
            others = self._positives(shard, labels)
            own = memory[torch.from_numpy(shard.batch[shard.span]).to(memory.device)]
            pairs["self"] = (novel, own if s.self_positive == "memory" else features)
            pairs["generated"] = (novel, others if s.positives == "separate" else positives)
            pushed = novel if s.pushed == "generated" else features
        return {
            name: weight * view_contrast(*pair, pushed, memory, negatives=negatives, temperature=s.temperature).mean()
            for name, pair in pairs.items()
            if (weight := getattr(s, f"{name}_weight"))
        }

    def _positives(self, shard: Shard, labels: Tensor) -> Tensor:
        """Draw an image of its cluster from the memory for each image of a shard: ``(S, D)``."""
        draws = torch.rand((len(shard.batch), len(self.images)), generator=self.generator)
        rows = choose_positives(labels, self._labels, draws[shard.span].to(labels.device))
        return self.memory.features[rows]
