"""One file for each training method."""

from resight.methods import ice, ice_settings, scr

METHODS = {
    "ice": (ice.ICE, ice_settings.ICESettings, ice_settings.VARIANTS),
    "scr": (scr.SCR, scr.SCRSettings, scr.VARIANTS),
}
"""Each method: its class, its settings and its variants."""
