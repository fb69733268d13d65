"""The file names of published sets whose names hold the labels, to recognize a set by them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from resight.data.sets import cuhk03np, dukemtmc, market1501, msmt17, personx


@dataclass(frozen=True)
class Style:
    """How a set names its files.

    Attributes:
        pattern: Matches a name from its start.
        form: An example of such a name, for messages.
        groups: A short pattern of the same labels, to type as ``--pattern`` for a folder of such files.
    """

    pattern: re.Pattern[str]
    form: str
    groups: str


# The narrower pattern comes first: CUHK03-NP's pattern matches DukeMTMC's names too.
STYLES: Mapping[str, Style] = {
    "market1501": Style(market1501.PATTERN, market1501.FORM, r"(?P<person>-1|[0-9]+)_c(?P<camera>[0-9]+)s"),
    "personx": Style(personx.PATTERN, personx.FORM, r"(?P<person>[0-9]+)_c(?P<camera>[0-9]+)s"),
    "dukemtmc": Style(dukemtmc.PATTERN, dukemtmc.FORM, r"(?P<person>[0-9]+)_c(?P<camera>[0-9]+)_f"),
    "cuhk03np": Style(cuhk03np.PATTERN, cuhk03np.FORM, r"(?P<person>[0-9]+)_c(?P<camera>[0-9]+)_"),
    "msmt17": Style(msmt17.PATTERN, msmt17.FORM, r"(?P<person>[0-9]+)_[0-9]+_(?P<camera>[0-9]+)_"),
}
"""The style of each set, by the set's name."""


def detect_style(names: Iterable[str]) -> str | None:
    """Return the set whose style the first recognized name has; None if no name is recognized."""
    return next((name for file in names for name, style in STYLES.items() if style.pattern.match(file)), None)
