"""Heads as text: what each text means, that it survives reading and writing, its parts, and errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resight.errors import ConfigError, WeightsError
from resight.models.encoder import Encoder, EncoderSettings, load_encoder
from resight.models.heads.grammar import ABMT, SCR, AsymmetricBranch, Branch, parse_arrangement, parse_branches
from resight.models.heads.head import PartitionHead, parse_head

MGN = "p1/2+p2(s2)+p3(s3)"


numbers = st.integers(0, 99).filter(lambda n: n != 1)
branches = st.builds(
    Branch, st.integers(0, 99), st.booleans(), numbers, numbers, st.integers(0, 99)
).filter(lambda b: bool(b.name) or (bool(b.stripes or b.groups) and not b.coarse))  # fmt: skip


@given(st.lists(branches, min_size=1, max_size=5, unique_by=lambda b: b.name or object()))
def test_an_arrangement_survives_writing_and_reading(arrangement: list[Branch]) -> None:
    assert parse_arrangement("+".join(map(str, arrangement))) == tuple(arrangement)


@pytest.mark.parametrize("text", [SCR, "p1", "p2(s2c2)", "p3(c3)", "s6", "s2c2d30", MGN, "p1+p2(d30)", "p1/2(s4)"])
def test_a_text_survives_reading_and_writing(text: str) -> None:
    assert "+".join(map(str, parse_arrangement(text))) == text


def test_scr_is_three_branches() -> None:
    assert parse_arrangement(SCR) == (Branch(1), Branch(2, stripes=2, groups=2), Branch(3, stripes=3, groups=3))


@given(
    st.lists(
        st.builds(AsymmetricBranch, st.sampled_from(["average", "max"]), st.integers(0, 9)), min_size=2, max_size=4
    )
)
def test_branches_survive_writing_and_reading(branches: list[AsymmetricBranch]) -> None:
    assert parse_branches("+".join(map(str, branches))) == tuple(branches)


def test_the_heads_of_table_4_4() -> None:
    a, m1 = AsymmetricBranch("average"), AsymmetricBranch("max", 1)
    assert parse_branches(ABMT) == (a, m1)
    assert parse_branches("a+a1") == (a, AsymmetricBranch("average", 1))
    assert parse_branches("a+m") == (a, AsymmetricBranch("max"))
    assert parse_branches("a+m1+a2") == (a, m1, AsymmetricBranch("average", 2))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "'' has no vector"),
        ("p1+", "'' has no vector"),
        ("p", "'p' is no branch"),
        ("p0", "is no branch"),
        ("p1 + p2", "'p1 ' is no branch"),
        ("p2(c2s2)", "in this order"),
        ("p2(s2", "is no branch"),
        ("p2()", "has no vector"),
        ("p2(s1)", "a single part, which is the whole"),
        ("c1", "a single part"),
        ("d30", "has no vector"),
        ("p02", "is no branch"),
        ("s6/2", "is no branch"),
        ("p2(x3)", "is no branch"),
        ("p1+p1(s2)", "two branches called p1"),
        ("Global", "Expected 'global'"),
        ("a", "a single branch"),
        ("m1", "a single branch"),
        ("a+", "'' is no branch"),
        ("a+m0", "'m0' is no branch"),
        ("a+m10", "'m10' is no branch"),
        ("a + m1", "'a ' is no branch"),
        ("a+p2(s2)", "'p2(s2)' is no branch"),
        ("average+max", "'average' is no branch"),
    ],
)
def test_a_wrong_text_is_told_what_is_wrong(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        EncoderSettings(head=text)
    assert words in str(error.value)
    assert f"'{text}'" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_head_of_another_file_is_named_as_such(tmp_path: Path) -> None:
    """An encoder with an added head, loaded where nothing adds it, is not damaged."""
    path = tmp_path / "encoder.safetensors"
    encoder = Encoder(EncoderSettings("test_efficientnet", "none", 64, 32))
    object.__setattr__(encoder.settings, "head", "bands4")
    encoder.save(path)
    with pytest.raises(WeightsError, match=r"head 'bands4'.* needs that file's import first"):
        load_encoder(path)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("p1", ["p1 whole"]),
        ("s2", ["stripe 1 of 2", "stripe 2 of 2"]),
        ("p1/2+p7(c2)", ["p1 whole", "p7 whole", "p7 channels 1 of 2", "p7 channels 2 of 2"]),
        ("p2(s2c2d30)", ["p2 whole", *(f"p2 {kind} {i} of 2" for kind in ("stripe", "channels") for i in (1, 2))]),
        ("p1+c2", ["p1 whole", "channels 1 of 2", "channels 2 of 2"]),
        ("s2+p1+s2", ["p1 whole", *(f"branch {place} stripe {i} of 2" for place in (1, 3) for i in (1, 2))]),
    ],
)
def test_parts_have_names(text: str, names: list[str]) -> None:
    assert [part.name for part in parse_head(text).parts(8)] == names


@given(st.lists(branches, min_size=1, max_size=5, unique_by=lambda b: b.name or object()))
def test_every_part_has_a_name_of_its_own_and_columns_of_its_kind(arrangement: list[Branch]) -> None:
    parts = PartitionHead(tuple(arrangement)).parts(100)
    assert len({part.name for part in parts}) == len(parts)
    pooled = {column for part in parts for column in range(part.columns.start, part.columns.stop)}
    assert pooled == set(range(100 * sum(branch.pools_whole + branch.stripes for branch in arrangement)))
    for part in parts:
        length = part.columns.stop - part.columns.start
        assert length in ([100 // part.count, 100 // part.count + 1] if part.kind == "channels" else [100])
        assert 0 <= part.index < part.count
