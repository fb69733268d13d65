r"""Text in pictures: in the scripts of several fonts, and shortened so that different names stay different.

Pillow draws a text in one font. This module draws a text in the first font that has all its characters: Pillow's own
for plain English, DejaVu Sans for Latin, Greek, Cyrillic, Hebrew and Arabic, Noto Sans CJK for Chinese, Japanese and
Korean. If no font has them all, the text is drawn in several fonts. A character that no font has, or that is invisible,
is drawn as its escape (``\u0e01``).
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
"""The characters for which Pillow's own font is used."""


@dataclass(frozen=True)
class _Face:
    font: ImageFont.FreeTypeFont
    has: Collection[int]  # code points

    def draws(self, text: str) -> bool:
        return all(ord(character) in self.has for character in text)


@dataclass(frozen=True)
class Letters:
    """Text of one size.

    Attributes:
        size: The font size in pixels.
    """

    size: float

    @functools.cached_property
    def _built_in(self) -> _Face:
        return _Face(cast(ImageFont.FreeTypeFont, ImageFont.load_default(self.size)), _BUILT_IN)

    @functools.cached_property
    def _faces(self) -> tuple[_Face, ...]:
        """All fonts, in the order in which they are tried; most texts need only the built-in one."""
        return self._built_in, *(
            _Face(ImageFont.truetype(str(path), self.size), characters) for path, characters in _fonts()
        )

    def _runs(self, text: str) -> list[tuple[ImageFont.FreeTypeFont, str]]:
        """Split a text into pieces of one font each."""
        if self._built_in.draws(text):
            return [(self._built_in.font, text)]
        text = "".join(map(_visible, text))
        single = next((face for face in self._faces if face.draws(text)), None)
        if single is not None:
            return [(single.font, text)]
        groups = groupby(text, lambda character: next(face for face in self._faces if face.draws(character)))
        return [(face.font, "".join(run)) for face, run in groups]

    def length(self, text: str) -> float:
        """Return the width of a line of text in pixels."""
        return sum(font.getlength(run) for font, run in self._runs(text))

    def write(self, draw: ImageDraw.ImageDraw, point: tuple[float, float], text: str, color: str, anchor: str) -> None:
        """Draw a line of text.

        Args:
            draw: The drawing context.
            point: The position of the anchor, x and y in pixels.
            text: The text.
            color: The color of the text.
            anchor: Two letters. The first is ``l``, ``m`` or ``r`` for the left end, the middle or the right end of the
                line; the second is ``a``, ``m`` or ``d`` for the top of high letters, their middle or the bottom of low
                ones.
        """
        above, below = self._built_in.font.getmetrics()
        left = point[0] - {"l": 0.0, "m": 0.5, "r": 1.0}[anchor[0]] * self.length(text)
        baseline = point[1] + {"a": float(above), "m": (above - below) / 2, "d": -float(below)}[anchor[1]]
        for font, run in self._runs(text):
            draw.text((left, baseline), run, fill=color, font=font, anchor="ls")
            left += font.getlength(run)

    def fit(self, text: str, width: float) -> str:
        """Cut the end of a text to a width in pixels, with an ellipsis."""
        return self.cut(text.replace("\n", " "), width, _head)

    def wrap(self, text: str, width: float) -> list[str]:
        """Break a text at spaces, hyphens and newlines into lines of a width; cut longer words."""
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

    def shorten(self, names: Iterable[str], width: float) -> Mapping[str, str]:
        """Shorten names to a width so that different names stay different.

        A long name loses its middle. If two names then look the same, they lose their end or their start instead, or
        all but the characters around their first difference from the most similar name. If that does not help either,
        the name starts with its number among the names.

        Args:
            names: The names; each counts once.
            width: The width in pixels.

        Returns:
            The text to draw for each name.
        """
        return _shorten(self, tuple(sorted(set(names))), width)

    def cut(self, text: str, width: float, cut: _Cut) -> str:
        """Cut a text to the most characters that fit into a width."""
        if self.length(text) <= width:
            return text
        count = bisect.bisect_right(range(1, len(text)), width, key=lambda count: self.length(cut(text, count)))
        return cut(text, count)


_Cut = Callable[[str, int], str]
"""A function that returns some number of a text's characters, with an ellipsis in the place of the others."""


def _head(text: str, count: int) -> str:
    return f"{text[:count]}…"


def _tail(text: str, count: int) -> str:
    return f"…{text[len(text) - count :]}"


def _ends(text: str, count: int) -> str:
    return f"{text[: count - count // 2]}…{text[len(text) - count // 2 :]}"


def _around(text: str, count: int, index: int) -> str:
    start = max(0, index - count // 3)
    return f"…{text[start : start + count]}…"


@functools.lru_cache(maxsize=16)  # a page has many ranked lists with the same cameras
def _shorten(letters: Letters, names: tuple[str, ...], width: float) -> Mapping[str, str]:
    first_difference = dict(zip(names, _first_differences(names), strict=True))
    cuts: Sequence[Callable[[str], _Cut]] = (
        lambda name: _ends,
        lambda name: _tail,
        lambda name: _head,
        lambda name: functools.partial(_around, index=first_difference[name]),
    )
    shortened: dict[str, str] = {}
    for cut in cuts:
        candidates = {name: letters.cut(name, width, cut(name)) for name in names if name not in shortened}
        counts = Counter(map(_normalize, [*candidates.values(), *shortened.values()]))
        shortened |= {name: text for name, text in candidates.items() if counts[_normalize(text)] == 1}
    return {name: letters.fit(f"{number} {name}", width) for number, name in enumerate(names, 1)} | shortened


def _first_differences(names: Sequence[str]) -> list[int]:
    """Return for each of some sorted names the index of its first difference from the most similar name."""
    prefix_lengths = [0, *(_prefix_length(*pair) for pair in pairwise(names)), 0]
    return [max(pair) for pair in pairwise(prefix_lengths)][: len(names)]


def _prefix_length(first: str, second: str) -> int:
    """Return the length of the common prefix of two texts."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((index for index, (one, other) in pairs if one != other), min(len(first), len(second)))


def _normalize(text: str) -> str:
    """Return one form of texts that look the same: a letter may be one character, or two."""
    return unicodedata.normalize("NFC", text)


@functools.cache
def _fonts() -> list[tuple[Path, Collection[int]]]:
    """Return the font files besides the built-in font, and the characters of each."""
    import matplotlib as mpl  # slow to load, and most texts need none of these
    from matplotlib.ft2font import FT2Font
    from noto_cjk_sans_jp_regular import FONT_PATH

    paths = [Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), Path(str(FONT_PATH))]
    return [(path, FT2Font(str(path)).get_charmap().keys()) for path in paths]


@functools.cache
def _visible(character: str) -> str:
    """Return a character, or its escape if no font has it, it is invisible, or it acts on the line."""
    acts = unicodedata.category(character)[0] in "CZ" and character != " "
    missing = not any(ord(character) in characters for _, characters in _fonts())
    return character.encode("unicode_escape").decode() if acts or missing else character
