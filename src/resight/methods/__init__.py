"""One file for each training method."""

from resight.methods.ice import ICE, VARIANTS, ICESettings

METHODS = {"ice": (ICE, ICESettings, VARIANTS)}
"""Each method: its class, its settings and its variants."""
