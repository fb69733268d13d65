"""Synthetic people: a labelled multi-camera set that is drawn, not downloaded."""

from resight.data.synthetic.dataset import SyntheticSet, synthesize
from resight.data.synthetic.histogram import stripe_histogram
from resight.data.synthetic.plan import SyntheticSettings

__all__ = ["SyntheticSet", "SyntheticSettings", "stripe_histogram", "synthesize"]
