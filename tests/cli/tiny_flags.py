"""Flags of a run that takes seconds."""

TINY = [
    "--encoder.backbone=tf_efficientnet_lite0",
    "--encoder.height=64",
    "--encoder.width=32",
    "--cluster.k1=8",
    "--cluster.eps=0.6",
    "--epochs=2",
    "--iterations=2",
    "--identities=4",
    "--config=site",
]
