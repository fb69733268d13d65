"""Names of files of the sets of images are read as they are written."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resight.data.sets import cuhk03np, dukemtmc, market1501, msmt17

ids = st.integers(0, 9999)


@given(person=st.integers(-1, 99_999), camera=ids, sequence=ids, frame=st.integers(0, 10**12), box=ids)
def test_market_names_round_trip(person: int, camera: int, sequence: int, frame: int, box: int) -> None:
    name = f"{person if person < 0 else f'{person:04}'}_c{camera}s{sequence}_{frame:06}_{box:02}.jpg"
    match = market1501.PATTERN.match(name)
    assert match
    assert {key: int(value) for key, value in match.groupdict().items()} == {
        "person": person,
        "camera": camera,
        "frame": frame,
    }


@given(person=ids, camera=ids, frame=st.integers(0, 10**12))
def test_duke_names_round_trip_and_are_no_market_names(person: int, camera: int, frame: int) -> None:
    name = f"{person:04}_c{camera}_f{frame:07}.jpg"
    match = dukemtmc.PATTERN.match(name)
    assert match
    assert [int(match[group]) for group in ("person", "camera", "frame")] == [person, camera, frame]
    assert not market1501.PATTERN.match(name)


@given(person=ids, camera=ids, rest=st.text("abc_019.", max_size=12))
def test_cuhk_and_msmt_names_round_trip(person: int, camera: int, rest: str) -> None:
    match = cuhk03np.PATTERN.match(f"{person:04}_c{camera}_{rest}.png")
    assert match
    assert (int(match["person"]), int(match["camera"])) == (person, camera)
    match = msmt17.PATTERN.match(f"{person:04}_000_{camera:02}_{rest}.jpg")
    assert match
    assert (int(match["person"]), int(match["camera"])) == (person, camera)


@pytest.mark.parametrize("module", [market1501, dukemtmc, cuhk03np, msmt17])
@given(data=st.data())
def test_what_a_pattern_takes_fits_the_table(module: ModuleType, data: st.DataObject) -> None:
    match = module.PATTERN.match(data.draw(st.from_regex(module.PATTERN, fullmatch=True)))
    assert match
    assert {"person", "camera"} <= set(match.groupdict()) <= {"person", "camera", "frame"}
    assert all(-1 <= int(value) < 2**63 for value in match.groupdict().values())
