"""People held out for validation, and who is scored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_sets import dataset_of

from resight.data.validation import split_validation
from resight.errors import ConfigError, DataError

some_people = st.dictionaries(
    st.integers(-1, 30),
    st.dictionaries(st.integers(1, 5), st.integers(1, 4), min_size=1, max_size=4),
    min_size=4,
    max_size=15,
)


@given(sizes=some_people, seed=st.integers(0, 5), share=st.floats(0, 1))
def test_validation_is_disjoint_matched_and_the_same_for_a_seed(
    sizes: dict[int, dict[int, int]], seed: int, share: float
) -> None:
    data = dataset_of(sizes)
    able = [person for person, cameras in sizes.items() if len(cameras) > 1 and person >= 0]
    people = min(max(1, round(share * len(able))), len(sizes) - 1)
    if people > len(able):
        with pytest.raises(DataError, match=f"cannot hold {people} people out"):
            split_validation(data, people, seed=seed)
        return
    split = split_validation(data, people, seed=seed)
    train, query, gallery = (set(table.person_ids.tolist()) for table in (split.train, split.query, split.gallery))
    assert len(query) == people
    assert query == gallery
    assert not query & train
    assert query <= set(able)
    joined = [*split.train.paths, *split.query.paths, *split.gallery.paths]
    assert sorted(joined) == sorted(data.train.paths.tolist())
    pairs = list(zip(split.query.person_ids.tolist(), split.query.camera_ids.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    for person, camera in pairs:
        assert (split.gallery.camera_ids[split.gallery.person_ids == person] != camera).any()

    order = np.random.default_rng(seed).permutation(len(data.train))
    again = split_validation(replace(data, train=data.train[order]), people, seed=seed)
    assert sorted(again.query.paths) == sorted(split.query.paths)
    assert sorted(again.train.paths) == sorted(split.train.paths)


def test_validation_by_hand() -> None:
    data = dataset_of({1: {1: 3, 2: 2}, 2: {1: 4}, 3: {1: 1, 2: 1}, 4: {1: 5, 2: 1}, 9: {4: 9}, -1: {1: 2, 2: 2}})
    split = split_validation(data, 3)
    assert split.name == "made+validation3"
    assert split.published == {}
    assert "3 of the 5 training people are held out" in split.notes[-1]
    assert sorted(split.train.person_ids.tolist()) == [-1] * 4 + [2] * 4 + [9] * 9
    asked = sorted(zip(split.query.person_ids.tolist(), split.query.camera_ids.tolist(), strict=True))
    assert asked == [(1, 1), (1, 2), (3, 1), (4, 1)]
    with pytest.raises(DataError, match="3 of its 5 people are seen by two cameras or more; hold out fewer"):
        split_validation(data, 4)
    with pytest.raises(ConfigError, match="must be a whole number of 1 or more, found 0"):
        split_validation(data, 0)
    with pytest.raises(DataError, match="leaves no image to train on"):
        split_validation(dataset_of({1: {1: 2, 2: 2}}), 1)


def test_distractors_are_not_held_out() -> None:
    data = replace(dataset_of({0: {1: 3, 2: 3}, 1: {1: 2, 2: 2}, 2: {1: 2, 2: 2}}), distractor_id=0)
    for seed in range(5):
        assert split_validation(data, 2, seed=seed).train.person_ids.tolist() == [0] * 6
    with pytest.raises(DataError, match="2 of its 2 people are seen by two cameras"):
        split_validation(data, 3)


def test_seeds_differ() -> None:
    data = dataset_of({person: {1: 2, 2: 2} for person in range(20)})
    chosen = {tuple(sorted(set(split_validation(data, 5, seed=seed).query.person_ids.tolist()))) for seed in range(5)}
    assert len(chosen) > 1


def test_without_cameras_a_person_needs_two_images() -> None:
    split = split_validation(dataset_of({1: {-1: 3}, 2: {-1: 1}, 3: {-1: 2}}, "none"), 2)
    assert split.query.person_ids.tolist() == [1, 3]
    assert split.gallery.person_ids.tolist() == [1, 1, 3]
    with pytest.raises(DataError, match="two images or more"):
        split_validation(dataset_of({1: {-1: 1}, 2: {-1: 2}}, "none"), 2)


def test_an_unknown_rule_is_an_error() -> None:
    with pytest.raises(ConfigError, match="one of same-camera, none; found 'both'"):
        dataset_of({1: {1: 1}}, "both")


def test_everybody_who_can_be_found_again_is_scored() -> None:
    data = dataset_of({1: {1: 3, 2: 2}, 2: {1: 4}, 3: {1: 1, 2: 1}, -1: {1: 2, 2: 2}})
    split = split_validation(data, "all")
    assert split.name == "made+validation-all"
    assert sorted(split.train.person_ids.tolist()) == [-1] * 4
    asked = sorted(zip(split.query.person_ids.tolist(), split.query.camera_ids.tolist(), strict=True))
    assert asked == [(1, 1), (1, 2), (3, 1)]
    assert sorted(split.gallery.person_ids.tolist()) == [1] * 3 + [2] * 4 + [3]
    assert split.notes[-1].startswith("validation: 2 of the 3 training people")
    assert split.notes[-1].endswith("the images of the others are in the gallery too")
    assert len(split_validation(dataset_of({1: {1: 2, 2: 2}}), "all").query) == 2
    with pytest.raises(DataError, match="0 of its 1 people are seen by two cameras or more; label more"):
        split_validation(dataset_of({1: {1: 2}}), "all")
