"""Meanings that the names of sub-folders reveal: splits, cameras, people, tracklets or dates; often none."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

_TRAIN = "train training train_all trainset train_set bounding_box_train bbox_train mask_train_v2 image_train"
_QUERY = "query queries probe probes bounding_box_query image_query"
_GALLERY = (
    "gallery galleries test testing test_all testset test_set bounding_box_test bbox_test mask_test_v2 image_test "
    "bounding_box_gallery image_gallery"
)
_LEFT_OUT = "val valid validation dev train_val gt_bbox gt_query multi_query"

SPLITS = {
    **dict.fromkeys(_TRAIN.split(), "train"),
    **dict.fromkeys(_QUERY.split(), "query"),
    **dict.fromkeys(_GALLERY.split(), "gallery"),
    **dict.fromkeys(_LEFT_OUT.split(), ""),
}
"""The split of each name, in lower case with _ between words; empty for a split that is left out."""

_PLACE_WORDS = """
access aisle alley approach arrival atrium attic back backdoor backyard balcony bank bar basement bay bridge building
bus cafe cafeteria campus canteen carpark cashier cash cellar checkout church corner corridor counter court courtyard
crossing deck departure desk dock door doors downstairs driveway drive east elevator entrance entrances entry
escalator exit exits facade fence floor foyer front frontdoor frontyard garage garden gate gates ground gym hall
hallway hub indoor indoors inside intersection junction kitchen lab landing lane left library lift lobby lounge lower
mall market metro middle mezzanine north office outdoor outdoors outside parking passage path pavement perimeter
platform plaza pool porch rear reception restaurant right road roof room school shop side sidewalk south square stair
staircase stairs stairwell station stockroom storage store street subway terminal terrace tower
tunnel underground upper upstairs vestibule walkway warehouse west window workshop yard zone ausgang bahnsteig eingang
einfahrt ausfahrt empfang flur garten halle hof kasse keller parkplatz strasse straße treppe treppenhaus tür tuer tor
accueil couloir cour entrée entree escalier parc porte quai rue sortie entrada escalera pasillo patio puerta recepción
salida calle cancello corridoio cortile ingresso porta scala scale uscita
"""
_PLACES = frozenset(_PLACE_WORDS.split())

_CAMERA = re.compile(
    r"(c|ch|view|chan|channel|stream|feed|sensor|ipc|dvr|nvr)[ _.#-]*[0-9]{1,4}[a-z]?"
    r"|c[0-9]{1,3}s[0-9]{1,3}"
    r"|(.*[^a-z])?(ip|web)?(cams?|cameras?|kamera|camara|cámara|caméra|telecamera|cctv)"
    r"([ _.#-]*[0-9a-z]{0,3}|[^a-z].*)"
    r"|[a-z]+(cam|camera|kamera)[0-9]*"
    r"|[0-9]{1,3}(?P<mark>[._-])[0-9]{1,3}(?P=mark)[0-9]{1,3}(?P=mark)[0-9]{1,3}"
    r"|[0-9a-f]{2}([:_-][0-9a-f]{2}){5}"
)
_PERSON = re.compile(
    r"(p|pid|person|people|subject|subj|identity|ident|id|individual|worker|employee)[ _.#-]*(id)?[ _.#-]*[0-9]+"
)
_TRACKLET = re.compile(
    r"(trk|track|tracks|tracklet|trackid|tid|seq|sequence|traj|trajectory|visit|clip)[ _.#-]*(id)?([ _.#-]*[0-9]+)+"
    r"|[0-9]+[ _.-]*c(am)?[0-9]+([ _.-]*[a-z][0-9]+)*"
)
_DATE = re.compile(
    r"(19|20)[0-9]{2}([ ._-]?[0-9]{2}){0,2}([ t._-]*[0-9]{2}([ h:._-]?[0-9]{2}){0,2})?"
    r"|[0-9]{1,2}[._-][0-9]{1,2}[._-](19|20)?[0-9]{2}"
    r"|[0-9]{1,2}h([0-9]{2})?"
    r"|(mon|tues|wednes|thurs|fri|satur|sun)day|mon|tue|wed|thu|fri|sat|sun"
    r"|jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sep(tember)?|oct(ober)?|nov(ember)?|dec(ember)?"
    r"|(day|week|month|morning|noon|afternoon|evening|night)[ _-]*[0-9]*"
)
_DATE_PART = re.compile(r"[0-9]{2}")
_SPLIT_SUFFIX = re.compile(r"_(set|split|part|data|images|imgs|crops)$")


def normalize_name(name: str) -> str:
    """Return a name in lower case, with a single _ between its words."""
    return re.sub(r"[\s_.-]+", "_", name.casefold()).strip("_")


def parse_split(name: str) -> str | None:
    """Return the split that a name means, as in `SPLITS`; None if the name is not a split's."""
    name = normalize_name(name)
    return SPLITS.get(name, SPLITS.get(_SPLIT_SUFFIX.sub("", name)))


def classify_names(names: Collection[str], *, above: str = "") -> str:
    """Infer the meaning of neighboring folders from their names.

    Args:
        names: The folders' names.
        above: The meaning of the level above.

    Returns:
        ``"camera"``, ``"person"``, ``"tracklet"``, ``"split"`` or ``"date"``; empty if the names do not reveal it.
    """
    if all(parse_split(name) is not None for name in names):
        return "split"
    if _fraction(names, _DATE.fullmatch) == 1 or (above == "date" and _fraction(names, _DATE_PART.fullmatch) == 1):
        return "date"
    if _fraction(names, _TRACKLET.fullmatch) > 0.9:
        return "tracklet"
    if _fraction(names, _PERSON.fullmatch) > 0.9:
        return "person"
    return "camera" if _fraction(names, _is_camera) >= 0.5 else ""


def _is_camera(name: str) -> bool:
    words = re.findall(r"[^\W\d_]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name))
    return bool(_CAMERA.fullmatch(name)) or any(word.casefold() in _PLACES for word in words)


def _fraction(names: Collection[str], test: Callable[[str], object]) -> float:
    """Return the fraction of names that pass a test, as written or in lower case."""
    return sum(bool(test(name) or test(name.casefold())) for name in names) / len(names)
