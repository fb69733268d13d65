"""Training methods: one file for each."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

from resight.methods import (
    abmt,
    abmt_settings,
    act,
    cap,
    cluster_contrast,
    gcl,
    gcl_settings,
    ice,
    ice_settings,
    jvtc,
    jvtc_settings,
    mean_teacher,
    mmcl,
    scr,
    source,
    spcl,
    tracklet_contrast,
)


class MethodSpec(NamedTuple):
    """A method as `METHODS` lists it.

    Attributes:
        build: Its class; called with settings, images and keyword arguments, it returns a `protocol.Method`.
        settings: The dataclass of its settings.
        variants: For each variant, the defaults that it changes.
    """

    build: Any
    settings: Any
    variants: Mapping[str, Mapping[str, Any]] = {"code": {}}

    def takes(self, argument: str) -> bool:
        """Return whether the method takes an argument, such as the ``source`` it adapts from or a ``peer``."""
        return argument in inspect.signature(self.build).parameters


METHODS: dict[str, MethodSpec] = {
    "ice": MethodSpec(ice.ICE, ice_settings.ICESettings, ice_settings.VARIANTS),
    "scr": MethodSpec(scr.SCR, scr.SCRSettings, scr.VARIANTS),
    "source": MethodSpec(source.Source, source.SourceSettings, source.VARIANTS),
    "abmt": MethodSpec(abmt.ABMT, abmt_settings.ABMTSettings, abmt_settings.VARIANTS),
    "mean_teacher": MethodSpec(abmt.ABMT, mean_teacher.MeanTeacherSettings, mean_teacher.VARIANTS),
    "mmt": MethodSpec(abmt.ABMT, mean_teacher.MMTSettings, mean_teacher.VARIANTS),
    "cluster_contrast": MethodSpec(cluster_contrast.ClusterContrast, cluster_contrast.ClusterContrastSettings),
    "spcl": MethodSpec(spcl.SpCL, spcl.SpCLSettings),
    "cap": MethodSpec(cap.CAP, cap.CAPSettings),
    "gcl": MethodSpec(gcl.GCL, gcl_settings.GCLSettings, gcl_settings.VARIANTS),
    "mmcl": MethodSpec(mmcl.MMCL, mmcl.MMCLSettings),
    "act": MethodSpec(act.ACT, act.ACTSettings),
    "jvtc": MethodSpec(jvtc.JVTC, jvtc_settings.JVTCSettings),
    "tracklet_contrast": MethodSpec(tracklet_contrast.TrackletContrast, tracklet_contrast.TrackletContrastSettings),
}
"""Every method, by its name on the command line."""
