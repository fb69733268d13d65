"""The settings of JVTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from resight.data.transforms import AugmentSettings
from resight.errors import HEAVIEST, ConfigError, check_least, check_most, check_shares
from resight.methods.settings import PseudoLabelSettings
from resight.models.encoder_settings import EncoderSettings
from resight.numerics.clustering import ClusterSettings


@dataclass(frozen=True)
class JVTCSettings(PseudoLabelSettings):
    """Every number of JVTC.

    Attributes:
        encoder: What is trained; the head `embedding` is the paper's layer to 512 numbers.
        cluster: How images are clustered, by DBSCAN.
        ghost_batches: Number of ghost batches of each domain: batch-norm statistics are computed for each part of a
            batch; the first part of the target moves the running statistics.
        iterations: Steps of an epoch; 0 for one pass over the images.
        identities: Images of the target in a batch.
        images: K, views of each image in a batch. A source has as many images in a batch as the target has views.
        learning_rate: Of the backbone's SGD.
        weight_decay: Added to the gradient (L2).
        milestones: Epochs, counted from 0, from which on the learning rate is multiplied by `decay` once more.
        decay: What the learning rate is multiplied by.
        momentum: Of SGD, which is Nesterov's.
        new_factor: How many times the learning rate of the backbone new layers have.
        styles: The folder of the images in the style of other cameras (CamStyle); empty for none. Each view is then
            drawn from an image and its versions.
        local_temperature: τ of the local loss.
        global_temperature: τ of the global loss.
        global_weight: Weight of the global loss.
        cluster_from: The epoch, counted from 0, from which on images are clustered and the global loss is trained.
        cluster_every: Epochs between two clusterings.
        joint_from: The epoch from which on they are clustered by appearance and time. It needs the camera and the frame
            number of every image; set it to `epochs` to cluster by appearance alone.
        visual_weight: λ of the clusters by appearance: share of the distance of two images; the rest is that of their
            neighbors (Jaccard).
        joint_weight: λ of the clusters by appearance and time.
        eps_scale: What the eps that `cluster.rho` (or `cluster.pairs_per_image`) measures is multiplied by.
        time_interval: Frames per bin of the times between cameras.
        time_smoothing: Standard deviation of the Gaussian that smooths them, bins.
        memory_growth: How much the share of itself that a vector of the memory keeps grows with each epoch, from 0.
        memory_limit: The largest such share.
        normalize_memory: Whether vectors in the memory stay of unit length.
    """

    fewest_iterations: ClassVar[int] = 0

    encoder: EncoderSettings = field(
        default_factory=lambda: EncoderSettings(backbone="resnet50", head="embedding", head_width=512)
    )
    cluster: ClusterSettings = field(
        default_factory=lambda: ClusterSettings(k1=20, variant="abmt", rho=1.6e-3, min_samples=1)
    )
    augment: AugmentSettings = field(
        default_factory=lambda: AugmentSettings(pad=0, blur=0.0, erase=0.5, erase_area=(0.02, 0.2))
    )
    epochs: int = 100
    iterations: int = 0
    identities: int = 32
    images: int = 4
    learning_rate: float = 0.01
    milestones: tuple[int, ...] = (40, 80)
    decay: float = 0.1
    momentum: float = 0.9
    new_factor: float = 10.0
    styles: str = ""
    local_temperature: float = 0.1
    global_temperature: float = 0.05
    global_weight: float = 0.2
    cluster_from: int = 10
    cluster_every: int = 5
    joint_from: int = 30
    visual_weight: float = 0.3
    joint_weight: float = 0.5
    eps_scale: float = 1.0
    time_interval: int = 100
    time_smoothing: float = 50.0
    memory_growth: float = 0.01
    memory_limit: float = 0.8
    normalize_memory: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares(self, "decay", "momentum", "memory_growth", "memory_limit")
        check_least(self, 0, "global_weight", "new_factor", "cluster_from", "joint_from", "time_smoothing")
        check_least(self, 1, "cluster_every", "time_interval")
        check_most(self, HEAVIEST, "global_weight", "new_factor")
        for name in ("local_temperature", "global_temperature", "eps_scale"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be above 0, found {getattr(self, name)}")
        for name in ("visual_weight", "joint_weight"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be in [0, 1), found {getattr(self, name)}")
        if self.cluster.method != "dbscan" or self.cluster.source_weight or self.cluster.k_cross_camera:
            raise ConfigError(
                "JVTC clusters by DBSCAN on its own distances: leave cluster.method, source_weight and k_cross_camera"
            )
        if self.encoder.neck_statistics != "batch":
            raise ConfigError("JVTC learns from batches between its clusterings: set encoder.neck_statistics to batch")
