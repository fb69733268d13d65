"""Write the files of `hsv` and `hsv-lbp`: settings without any weight.

python scripts/make_handmade_models.py
"""

from resight.files import write_atomically
from resight.models.backbones import Provenance, build_backbone
from resight.models.encoder import Encoder, EncoderSettings
from resight.models.packaged import HAND_MADE, packaged_file

SOURCE = Provenance("resight: histograms, nothing is learned", license="not needed")


def dump(name: str) -> bytes:
    """Return the file of one of them."""
    settings = EncoderSettings(backbone=name, weights="none", height=128, width=64, last_stride=2, neck="none")
    return Encoder(settings, build_backbone(name, weights="none")[0], SOURCE).dump()


if __name__ == "__main__":
    for each in HAND_MADE:
        write_atomically(packaged_file(each), dump(each))
