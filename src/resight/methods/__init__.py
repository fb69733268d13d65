"""One file for each training method."""

from resight.methods import abmt, abmt_settings, ice, ice_settings, mean_teacher, scr, source

METHODS = {
    "ice": (ice.ICE, ice_settings.ICESettings, ice_settings.VARIANTS),
    "scr": (scr.SCR, scr.SCRSettings, scr.VARIANTS),
    "source": (source.Source, source.SourceSettings, source.VARIANTS),
    "abmt": (abmt.ABMT, abmt_settings.ABMTSettings, abmt_settings.VARIANTS),
    "mean_teacher": (abmt.ABMT, mean_teacher.MeanTeacherSettings, mean_teacher.VARIANTS),
    "mmt": (abmt.ABMT, mean_teacher.MMTSettings, mean_teacher.VARIANTS),
}
"""Each method: its class, its settings and its variants."""
