"""Synthetic people: a labeled multi-camera data set that is rendered, not downloaded."""

from resight.synthetic.dataset import SyntheticSet, synthesize
from resight.synthetic.plan import SyntheticSettings

__all__ = ["SyntheticSet", "SyntheticSettings", "synthesize"]
