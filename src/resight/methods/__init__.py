"""One file for each training method."""

from resight.methods import ice, scr

METHODS = {
    "ice": (ice.ICE, ice.ICESettings, ice.VARIANTS),
    "scr": (scr.SCR, scr.SCRSettings, scr.VARIANTS),
}
"""Each method: its class, its settings and its variants."""
