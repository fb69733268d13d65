r"""Words in pictures: of every script that a font here has, and cut so that names that differ still do.

Pillow draws a text in one font. Here a text is in the first that has all of it: Pillow's own for plain English, DejaVu
Sans for Latin, Greek, Cyrillic, Hebrew and Arabic, Noto Sans CJK for Chinese, Japanese and Korean. A text that none has
as a whole is drawn in several; a character that none has, or that nobody could see, as its escape (``\u0e01``).
"""

from __future__ import annotations

import bisect
import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import cast

from PIL import ImageDraw, ImageFont

_BUILT_IN = frozenset((*range(0x20, 0x7F), ord("…"), ord("·")))
"""Of the characters of Pillow's own font those that it is used for."""


@dataclass(frozen=True)
class _Face:
    font: ImageFont.FreeTypeFont
    has: Collection[int]  # code points

    def draws(self, text: str) -> bool:
        return all(ord(character) in self.has for character in text)


@dataclass(frozen=True)
class Letters:
    """Letters of one size.

    Attributes:
        size: Their size in pixels.
    """

    size: float

    @functools.cached_property
    def _built_in(self) -> _Face:
        return _Face(cast(ImageFont.FreeTypeFont, ImageFont.load_default(self.size)), _BUILT_IN)

    @functools.cached_property
    def _faces(self) -> tuple[_Face, ...]:
        """All fonts, the first to be tried first; most texts need the built-in one alone."""
        return self._built_in, *(
            _Face(ImageFont.truetype(str(path), self.size), characters) for path, characters in _fonts()
        )

    def _runs(self, text: str) -> list[tuple[ImageFont.FreeTypeFont, str]]:
        """Return the pieces of a text that are drawn in one font each."""
        if self._built_in.draws(text):
            return [(self._built_in.font, text)]
        text = "".join(map(_visible, text))
        whole = next((face for face in self._faces if face.draws(text)), None)
        if whole is not None:
            return [(whole.font, text)]
        groups = groupby(text, lambda one: next(face for face in self._faces if face.draws(one)))
        return [(face.font, "".join(run)) for face, run in groups]

    def length(self, text: str) -> float:
        """Return how wide a line of text is, in pixels."""
        return sum(font.getlength(run) for font, run in self._runs(text))

    def write(self, draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, color: str, anchor: str) -> None:
        """Write a line of text.

        Args:
            draw: What draws.
            place: Where, in pixels.
            text: The text.
            color: Its color.
            anchor: What of the line lies at ``place``: ``l``, ``m`` or ``r`` for its left end, middle or right end,
                then ``a``, ``m`` or ``d`` for the top of high letters, their middle or the bottom of low ones.
        """
        above, below = self._built_in.font.getmetrics()
        left = place[0] - {"l": 0.0, "m": 0.5, "r": 1.0}[anchor[0]] * self.length(text)
        line = place[1] + {"a": float(above), "m": (above - below) / 2, "d": -float(below)}[anchor[1]]
        for font, run in self._runs(text):
            draw.text((left, line), run, fill=color, font=font, anchor="ls")
            left += font.getlength(run)

    def fit(self, text: str, width: float) -> str:
        """Cut the end of a text to a width in pixels, with an ellipsis."""
        return self.cut(text.replace("\n", " "), width, _head)

    def wrap(self, text: str, width: float) -> list[str]:
        """Break a text at its spaces and hyphens into lines of a width; what is longer is cut. Newlines stay."""
        lines = []
        for paragraph in text.split("\n"):
            line = ""
            for piece in re.split(r"(?<= )|(?<=[a-z]-)(?=[a-z])", paragraph):
                longer = line + piece
                if line and self.length(longer.rstrip()) > width:
                    lines.append(line.rstrip())
                    longer = piece
                line = longer
            lines.append(line)
        return [self.fit(line, width) for line in lines]

    def apart(self, names: Iterable[str], width: float) -> Mapping[str, str]:
        """Cut names to a width so that names that differ still do.

        A name that is too long loses its middle; where that makes two alike, its end or its start, or all but where it
        departs from the most similar name; and where that helps no more it begins with its number among the names.

        Args:
            names: The names; each counts once.
            width: The width in pixels.

        Returns:
            What to write for each name.
        """
        return _apart(self, tuple(sorted(set(names))), width)

    def cut(self, text: str, width: float, cut: _Cut) -> str:
        """Keep as many characters of a text as a width has room for."""
        if self.length(text) <= width:
            return text
        kept = bisect.bisect_right(range(1, len(text)), width, key=lambda kept: self.length(cut(text, kept)))
        return cut(text, kept)


_Cut = Callable[[str, int], str]
"""Gives so many characters of a text, and an ellipsis where others were."""


def _head(text: str, kept: int) -> str:
    return f"{text[:kept]}…"


def _tail(text: str, kept: int) -> str:
    return f"…{text[len(text) - kept :]}"


def _middle(text: str, kept: int) -> str:
    return f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"


def _around(text: str, kept: int, at: int) -> str:
    start = max(0, at - kept // 3)
    return f"…{text[start : start + kept]}…"


@functools.lru_cache(maxsize=16)  # a page has many strips, of the same cameras
def _apart(letters: Letters, names: tuple[str, ...], width: float) -> Mapping[str, str]:
    departs = dict(zip(names, _departures(names), strict=True))
    cuts: Sequence[Callable[[str], _Cut]] = (
        lambda name: _middle,
        lambda name: _tail,
        lambda name: _head,
        lambda name: functools.partial(_around, at=departs[name]),
    )
    found: dict[str, str] = {}
    for cut in cuts:
        tried = {name: letters.cut(name, width, cut(name)) for name in names if name not in found}
        seen = Counter(map(_look, [*tried.values(), *found.values()]))
        found |= {name: short for name, short in tried.items() if seen[_look(short)] == 1}
    return {name: letters.fit(f"{number} {name}", width) for number, name in enumerate(names, 1)} | found


def _departures(names: Sequence[str]) -> list[int]:
    """Return for each of some sorted names where it departs from the one that begins most like it."""
    shared = [0, *(_shared(*pair) for pair in pairwise(names)), 0]
    return [max(pair) for pair in pairwise(shared)][: len(names)]


def _shared(first: str, second: str) -> int:
    """Count the characters that two texts begin with alike."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(first), len(second)))


def _look(text: str) -> str:
    """Return what is the same for texts that look the same: a letter may be one character, or two."""
    return unicodedata.normalize("NFC", text)


@functools.cache
def _fonts() -> list[tuple[Path, Collection[int]]]:
    """Return the files of fonts after the built-in one, and the characters of each."""
    import matplotlib as mpl  # slow to load, and most texts need none of these
    from matplotlib.ft2font import FT2Font
    from noto_cjk_sans_jp_regular import FONT_PATH

    paths = [Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), Path(str(FONT_PATH))]
    return [(path, FT2Font(str(path)).get_charmap().keys()) for path in paths]


@functools.cache
def _visible(character: str) -> str:
    """Escape a character that no font has, and those that would act on the line or leave no trace."""
    acts = unicodedata.category(character)[0] in "CZ" and character != " "
    missing = not any(ord(character) in characters for _, characters in _fonts())
    return character.encode("unicode_escape").decode() if acts or missing else character
