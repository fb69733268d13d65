"""The views of a drawn set: the same person at the same moment, turned, as pictures and as structure maps.

``views/`` has one folder for each kind and angle, in the form that released programs read: ``render``, ``render_45``,
``render_90`` ... hold structure maps (PNG, twice the size of the crop), and ``view``, ``view_45`` ... the pictures. The
files are named as the crops, whose names differ in a set. Clothes, light, camera, background and framing are those of
the crop, and the picture at angle 0 is the crop itself.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from resight.synthetic.plan import Key, Planned, SyntheticSettings, chance
from resight.synthetic.studio import Studio
from resight.synthetic.turns import TURN, TURNS, angle_folder, body_in, render_structure

VIEWS = "views"
"""The folder of the views in the folder of a set."""


def has_views(settings: SyntheticSettings, image: Planned) -> bool:
    """Return whether an image gets views; distractors and junk do not."""
    if not settings.views or image.label <= 0:
        return False
    rng = chance(settings.seed, Key.VIEW, image.person, image.camera, image.visit, image.index)
    return bool(rng.random() < settings.view_share)


def write_views(folder: Path, studio: Studio, image: Planned) -> None:
    """Draw and write the views of an image.

    Args:
        folder: The folder of all views.
        studio: The people and cameras.
        image: The planned image.
    """
    settings, camera = studio.settings, studio.cameras[image.camera - 1]
    body = body_in(studio.body, camera, studio.shot(image), settings.width / settings.height)
    for turns in range(0, TURNS, TURNS // settings.views):
        picture = Image.fromarray(studio.draw(image, turn=turns * TURN)[0].pixels)
        structure = Image.fromarray(render_structure(body, turns, (2 * settings.height, 2 * settings.width))[0])
        view, render = (folder / angle_folder(kind, turns) / Path(image.path).name for kind in ("view", "render"))
        for path in (view, render):
            path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(view, quality=camera.quality)
        structure.save(render.with_suffix(".png"), compress_level=1)
