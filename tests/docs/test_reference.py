"""The reference shows every public name; `make docs` builds it."""

from __future__ import annotations

import re

from pages import DOCS

import resight


def test_every_public_name_is_on_a_page_of_the_reference() -> None:
    api, settings = ((DOCS / "reference" / name).read_text(encoding="utf-8") for name in ("api.md", "settings.md"))
    packages = {word for line in re.findall(r"\{public-names\} (.+)", api) for word in line.split()}
    methods = {"ICESettings"}  # `method-settings` makes a table for each method
    for name in resight.__all__:
        if name.endswith("Settings"):
            assert f".{name}\n" in settings or name in methods, name
        else:
            assert getattr(resight, name).__module__.split(".")[1] in packages, name


def test_every_page_is_in_the_index() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    entries = [
        entry for block in re.findall(r"^```\{toctree\}\n(.*?)^```", index, re.M | re.S) for entry in block.split()
    ]
    pages = {str(path.relative_to(DOCS).with_suffix("")) for path in DOCS.rglob("*.md")}
    for page in pages - {"index"}:
        folder = page.rpartition("/")[0]
        assert page in entries or f"{folder}/*" in entries or folder == "reference", page
