"""The file names of published sets in which the names hold the labels: tell a set by them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from resight.data.sets import cuhk03np, dukemtmc, market1501, msmt17


@dataclass(frozen=True)
class Style:
    """How a set names its files.

    Attributes:
        pattern: Matches a name from its start.
        form: How such a name looks, for people.
        groups: A pattern of the same labels to be typed, for a folder of such files.
    """

    pattern: re.Pattern[str]
    form: str
    groups: str


# The narrower pattern first: DukeMTMC's names fit CUHK03-NP's pattern too.
STYLES: Mapping[str, Style] = {
    "market1501": Style(market1501.PATTERN, market1501.FORM, r"(?P<person>-1|[0-9]+)_c(?P<camera>[0-9]+)s"),
    "dukemtmc": Style(dukemtmc.PATTERN, dukemtmc.FORM, r"(?P<person>[0-9]+)_c(?P<camera>[0-9]+)_f"),
    "cuhk03np": Style(cuhk03np.PATTERN, cuhk03np.FORM, r"(?P<person>[0-9]+)_c(?P<camera>[0-9]+)_"),
    "msmt17": Style(msmt17.PATTERN, msmt17.FORM, r"(?P<person>[0-9]+)_[0-9]+_(?P<camera>[0-9]+)_"),
}
"""By the set's name."""


def style_of(names: Iterable[str]) -> str | None:
    """Give the set whose files are named like the first of these that is named like any set's; None where none is."""
    return next((style for name in names for style, known in STYLES.items() if known.pattern.match(name)), None)
