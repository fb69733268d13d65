"""Person re-identification without labels.

Importing this is cheap, which an early interrupt needs too: each name is loaded when it is first used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers have it; importing `typing` takes longer than all else here
if TYPE_CHECKING:
    from typing import Any

    from resight.data.dataset import load_dataset as load_dataset
    from resight.data.splits import Dataset as Dataset
    from resight.data.splits import split_validation as split_validation
    from resight.data.synthetic import SyntheticSettings as SyntheticSettings
    from resight.data.synthetic import synthesize as synthesize
    from resight.data.verify import describe as describe
    from resight.data.verify import verify as verify
    from resight.devices import Devices as Devices
    from resight.errors import ResightError as ResightError
    from resight.evaluation import evaluate as evaluate
    from resight.explain import grad_cam as grad_cam
    from resight.explain import part_similarities as part_similarities
    from resight.extraction import extract as extract
    from resight.methods.ice_settings import ICESettings as ICESettings
    from resight.models.encoder import Encoder as Encoder
    from resight.models.encoder import load_encoder as load_encoder
    from resight.models.encoder_settings import EncoderSettings as EncoderSettings
    from resight.numerics.clustering import ClusterSettings as ClusterSettings
    from resight.numerics.clustering import cluster as cluster
    from resight.numerics.jaccard import rerank as rerank
    from resight.ranking import compare as compare
    from resight.ranking import rank as rank
    from resight.records import Features as Features
    from resight.records import ImageTable as ImageTable
    from resight.records import PseudoLabels as PseudoLabels
    from resight.records import Ranking as Ranking
    from resight.records import Report as Report
    from resight.training import TrainSettings as TrainSettings
    from resight.training import read_recipe as read_recipe
    from resight.training import train as train

__version__ = "0.1.0.dev0"

_HOMES = {
    "resight.data.dataset": ("load_dataset",),
    "resight.data.splits": ("Dataset", "split_validation"),
    "resight.data.synthetic": ("SyntheticSettings", "synthesize"),
    "resight.data.verify": ("describe", "verify"),
    "resight.devices": ("Devices",),
    "resight.errors": ("ResightError",),
    "resight.evaluation": ("evaluate",),
    "resight.explain": ("grad_cam", "part_similarities"),
    "resight.extraction": ("extract",),
    "resight.methods.ice_settings": ("ICESettings",),
    "resight.models.encoder": ("Encoder", "load_encoder"),
    "resight.models.encoder_settings": ("EncoderSettings",),
    "resight.numerics.clustering": ("ClusterSettings", "cluster"),
    "resight.numerics.jaccard": ("rerank",),
    "resight.ranking": ("compare", "rank"),
    "resight.records": ("Features", "ImageTable", "PseudoLabels", "Ranking", "Report"),
    "resight.training": ("TrainSettings", "read_recipe", "train"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'resight' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
