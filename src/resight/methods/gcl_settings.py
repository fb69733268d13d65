"""The settings of GCL and its variants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from resight.data.transforms import AugmentSettings
from resight.errors import HEAVIEST, ConfigError, check_least, check_most, check_shares
from resight.losses.adversarial import Adversarial
from resight.methods.settings import MethodSettings
from resight.methods.updates import stepped_rate
from resight.models.encoder_settings import EncoderSettings
from resight.models.generator import STRIDE, Slices
from resight.numerics.clustering import ClusterSettings
from resight.synthetic.turns import TURNS

Phase = Literal["pairs", "warmup", "joint"]

AS_THEY_ARE = AugmentSettings(flip=0.0, pad=0, blur=0.0, erase=0.0)
"""No augmentation: an image must lie over the rendering of its body."""

WEIGHTS = ("image", "feature", "adversarial", "penalty", "original", "self", "generated")


def _thesis_encoder() -> EncoderSettings:
    return EncoderSettings(backbone="resnet50", head="embedding", head_width=512)


@dataclass(frozen=True)
class GCLSettings(MethodSettings):
    """Every number of GCL.

    Attributes:
        encoder: The identity encoder; `head` `global` leaves out the layer to 512 numbers.
        augment: Traditional augmentation, for `generator` false; a generator takes images as they are.
        epochs: How many epochs, with those before the joint training.
        iterations: Steps of an epoch; 0 for one pass over the images.
        identities: With `images`, the size of a batch: identities x images. Images are drawn one by one.
        images: See `identities`.
        learning_rate: Of the identity encoder's SGD.
        weight_decay: Of all optimizers, added to the gradient (L2).
        cluster: How the memory is clustered. The thesis' "radius" is `rho`: 2e-3, on MSMT17 1.2e-3.
        structure: Where the renderings of bodies come from: `pose` recovers them from the images (docs/bodies.md),
            `truth` takes those of drawn people; or a folder with the folders `render`, `render_45`, `render_90` ...
        generator: Whether views are generated; without, images are contrasted as they are, or augmented (Table 5.3).
        views: A folder of turned people that another generator has drawn, in the folders `view`, `view_45` ...; with
            `generator` false, they take the place of generated ones.
        warmup_epochs: Epochs that train the generator alone; the identity encoder is frozen.
        pretrain: `pairs` teaches the generator true pictures of turned people first; `none` does not.
        pretrain_epochs: How many epochs of pairs, before those of the warm-up.
        generator_start: A run folder of GCL whose generator and discriminator to start from; empty for random weights.
        milestones: Epochs, counted from 0 at the start of the joint training, from which on the learning rate of the
            identity encoder is multiplied by `decay` once more.
        decay: What learning rates are multiplied by.
        momentum: Of the identity encoder's SGD, which is Nesterov's.
        generator_rate: Learning rate of the generator's and the discriminator's Adam.
        generator_milestones: As `milestones`, for them; 0 is the start of the joint training.
        betas: β1 and β2 of Adam.
        generator_width: Factor of the channels of generator and discriminator; 1 is the thesis'.
        aspp: Whether the structure encoder ends in dilated convolutions.
        refinements: Convolutions between the decoder's upsampling and its last one.
        slices: What decides each residual block of the decoder: a quarter of the `channels` of all parts, or all
            channels of one of the `parts`.
        angles: How many turned views are drawn from, in steps of 45 degrees from 45 on: 6 is up to 270.
        adversarial: The form of eq. 5.3: `least-squares`, or `log`.
        adversarial_weight: Of what the generator loses on each of its images.
        penalty_weight: Of the squared gradient of the discriminator on real images (R1).
        image_weight: λ_img of eq. 5.4.
        feature_weight: λ_feat of eq. 5.4.
        feature_view: Which view's code is compared in eq. 5.2, besides the cycle's: that of the `reconstructed` image,
            or of the `novel` one.
        memory_momentum: α of eq. 5.5, the share of itself that a feature in the memory keeps.
        normalize_memory: Whether features in the memory stay of unit length.
        temperature: τ of eq. 5.6 to 5.8.
        negatives: K, the most images of other clusters that an image is pushed away from.
        outlier_negatives: Whether images outside every cluster can be among them.
        pushed: The view that they push away: the `generated` one, or the `original`.
        positives: Whether eq. 5.6 and 5.8 draw `separate` positives from the memory, or have a `shared` one.
        self_positive: What the generated view is pulled to in eq. 5.7: its image in the `memory`, or the `current`
            features of the image.
        original_weight: Of eq. 5.6, the image and the memory.
        self_weight: Of eq. 5.7, the generated view and its image.
        generated_weight: Of eq. 5.8, the generated view and the memory.
    """

    encoder: EncoderSettings = field(default_factory=_thesis_encoder)
    augment: AugmentSettings = AS_THEY_ARE
    epochs: int = 60
    iterations: int = 0
    images: int = 1
    cluster: ClusterSettings = field(default_factory=lambda: ClusterSettings(rho=2e-3))
    structure: str = ""
    generator: bool = True
    views: str = ""
    warmup_epochs: int = 40
    pretrain: Literal["none", "pairs"] = "none"
    pretrain_epochs: int = 10
    generator_start: str = ""
    milestones: tuple[int, ...] = (10,)
    decay: float = 0.1
    momentum: float = 0.9
    generator_rate: float = 1e-4
    generator_milestones: tuple[int, ...] = (0,)
    betas: tuple[float, float] = (0.0, 0.999)
    generator_width: float = 1.0
    aspp: bool = True
    refinements: int = 2
    slices: Slices = "channels"
    angles: int = 6
    adversarial: Adversarial = "least-squares"
    adversarial_weight: float = 2.0
    penalty_weight: float = 0.01
    image_weight: float = 5.0
    feature_weight: float = 5.0
    feature_view: Literal["reconstructed", "novel"] = "reconstructed"
    memory_momentum: float = 0.2
    normalize_memory: bool = True
    temperature: float = 0.04
    negatives: int = 8192
    outlier_negatives: bool = True
    pushed: Literal["generated", "original"] = "generated"
    positives: Literal["separate", "shared"] = "separate"
    self_positive: Literal["memory", "current"] = "memory"
    original_weight: float = 1.0
    self_weight: float = 1.0
    generated_weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, 0, "warmup_epochs", "generator_rate", "refinements", *(f"{name}_weight" for name in WEIGHTS))
        check_least(self, 1, "negatives", "angles", "pretrain_epochs")
        check_most(self, HEAVIEST, *(f"{name}_weight" for name in WEIGHTS))
        check_most(self, 10, "generator_rate", "refinements")
        check_most(self, TURNS - 1, "angles")
        check_shares(self, "decay", "momentum", "memory_momentum")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(f"betas must be 0 or more and below 1, found {self.betas}")
        if not 0 < self.generator_width <= 4:
            raise ConfigError(f"generator_width must be above 0, at most 4, found {self.generator_width}")
        if self.temperature <= 0:
            raise ConfigError(f"temperature must be above 0, found {self.temperature}")
        for name in ("milestones", "generator_milestones"):
            if list(getattr(self, name)) != sorted(set(getattr(self, name))):
                raise ConfigError(f"{name} must ascend, found {list(getattr(self, name))}")
        self._check_generator()

    def _check_generator(self) -> None:
        """Check what depends on whether there is a generator."""
        if not self.generator:
            if self.pretrain != "none" or self.warmup_epochs or self.generator_start:
                raise ConfigError(
                    "without a generator there is nothing to warm up: set warmup_epochs to 0, pretrain to none, "
                    "generator_start to nothing, and epochs to those of the joint training, 20 in the thesis"
                )
            if not (self.original_weight or (self.views and self.contrasts)):
                raise ConfigError("without a generator and views only original_weight is a loss: set it above 0")
            return
        if self.views:
            raise ConfigError("views take the place of generated ones: set generator to false, or views to nothing")
        if not self.image_weight + self.feature_weight + self.adversarial_weight:
            raise ConfigError("a generator learns from image_weight, feature_weight or adversarial_weight: set one")
        if self.augment != AS_THEY_ARE:
            raise ConfigError(
                "a generator takes images as they are, over the renderings of their bodies: set augment.flip, pad, "
                "blur, erase and its colors to 0, or generator to false"
            )
        if any(side % STRIDE for side in self.encoder.size):
            raise ConfigError(
                f"a generator makes images whose height and width are multiples of {STRIDE}: found "
                f"encoder.height {self.encoder.height}, encoder.width {self.encoder.width}"
            )

    @property
    def contrasts(self) -> bool:
        """Whether the joint training contrasts views, so that it needs a memory and clusters."""
        return bool(self.original_weight + self.self_weight + self.generated_weight)

    @property
    def joint_start(self) -> int:
        """The epoch, from 0, at which the joint training starts."""
        return self.warmup_epochs + (self.pretrain_epochs if self.pretrain == "pairs" else 0)

    def phase(self, epoch: int) -> Phase:
        """Return what an epoch, from 0, trains."""
        if epoch >= self.joint_start:
            return "joint"
        return "pairs" if epoch < self.joint_start - self.warmup_epochs else "warmup"

    def rates(self, epoch: int) -> tuple[float, float]:
        """Return the learning rates of the identity encoder, and of generator and discriminator, in an epoch."""
        joint = epoch - self.joint_start
        return (
            stepped_rate(self.learning_rate, joint, milestones=self.milestones, decay=self.decay),
            stepped_rate(self.generator_rate, joint, milestones=self.generator_milestones, decay=self.decay),
        )


VARIANTS: dict[str, dict[str, Any]] = {
    "code": {},
    "thesis": {
        "generator_milestones": (10,),
        "aspp": False,
        "refinements": 1,
        "angles": 7,
        "adversarial": "log",
        "adversarial_weight": 1.0,
        "penalty_weight": 0.0,
        "feature_view": "novel",
        "normalize_memory": False,
        "outlier_negatives": False,
        "positives": "shared",
        "self_positive": "current",
    },
}
"""What each variant sets differently from the dataclass."""
