from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gancli.errors import UsageError
from gancli.render.seeds import format_seeds, parse_seeds


def test_ranges_and_lists_are_read_in_order() -> None:
    assert parse_seeds("0-3, 9,7-5") == [0, 1, 2, 3, 9, 7, 6, 5]


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=20))
def test_what_is_shown_can_be_given_again(seeds: list[int]) -> None:
    assert parse_seeds(format_seeds(seeds)) == seeds


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "1,,2", "1.5", "9999999999999999999", "0-99999999"])
def test_what_is_no_seed_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="--seeds"):
        parse_seeds(text)
