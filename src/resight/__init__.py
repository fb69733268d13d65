"""Person re-identification without labels.

Importing the package is fast: each name is loaded when it is first used. An early interrupt needs this too.
"""

from __future__ import annotations

TYPE_CHECKING = False  # true for type checkers; importing `typing` takes longer than everything else here
if TYPE_CHECKING:
    from typing import Any

    from resight.api import adapt as adapt
    from resight.api import score as score
    from resight.api import search as search
    from resight.api import train as train
    from resight.compute.devices import Devices as Devices
    from resight.data.catalog import load_dataset as load_dataset
    from resight.data.dataset import Dataset as Dataset
    from resight.data.validation import split_validation as split_validation
    from resight.data.verify import describe as describe
    from resight.data.verify import verify as verify
    from resight.errors import ResightError as ResightError
    from resight.methods.ice_settings import ICESettings as ICESettings
    from resight.models.encoder import Encoder as Encoder
    from resight.models.encoder import load_encoder as load_encoder
    from resight.models.encoder_settings import EncoderSettings as EncoderSettings
    from resight.numerics.clustering import ClusterSettings as ClusterSettings
    from resight.numerics.clustering import cluster as cluster
    from resight.numerics.jaccard import rerank as rerank
    from resight.records import Features as Features
    from resight.records import ImageTable as ImageTable
    from resight.records import PseudoLabels as PseudoLabels
    from resight.records import Ranking as Ranking
    from resight.records import Report as Report
    from resight.retrieval.evaluation import evaluate as evaluate
    from resight.retrieval.explain import grad_cam as grad_cam
    from resight.retrieval.explain import part_similarities as part_similarities
    from resight.retrieval.extraction import extract as extract
    from resight.retrieval.ranking import compare as compare
    from resight.retrieval.ranking import rank as rank
    from resight.retrieval.statistics import adapt_statistics as adapt_statistics
    from resight.retrieval.statistics import center_cameras as center_cameras
    from resight.synthetic import SyntheticSettings as SyntheticSettings
    from resight.synthetic import synthesize as synthesize
    from resight.training.train import TrainSettings as TrainSettings

__version__ = "0.1.0.dev0"

_NAMES = {
    "resight.data.catalog": ("load_dataset",),
    "resight.data.dataset": ("Dataset",),
    "resight.data.validation": ("split_validation",),
    "resight.synthetic": ("SyntheticSettings", "synthesize"),
    "resight.data.verify": ("describe", "verify"),
    "resight.compute.devices": ("Devices",),
    "resight.errors": ("ResightError",),
    "resight.retrieval.evaluation": ("evaluate",),
    "resight.retrieval.explain": ("grad_cam", "part_similarities"),
    "resight.retrieval.extraction": ("extract",),
    "resight.methods.ice_settings": ("ICESettings",),
    "resight.models.encoder": ("Encoder", "load_encoder"),
    "resight.models.encoder_settings": ("EncoderSettings",),
    "resight.numerics.clustering": ("ClusterSettings", "cluster"),
    "resight.numerics.jaccard": ("rerank",),
    "resight.retrieval.ranking": ("compare", "rank"),
    "resight.retrieval.statistics": ("adapt_statistics", "center_cameras"),
    "resight.records": ("Features", "ImageTable", "PseudoLabels", "Ranking", "Report"),
    "resight.api": ("adapt", "score", "search", "train"),
    "resight.training.train": ("TrainSettings",),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'resight' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
