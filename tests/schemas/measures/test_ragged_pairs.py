"""Distinct pairs of group and code, in each of the ways in which they are found."""

from __future__ import annotations

import collections

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.schemas.measures.encoding.ragged import pairs, ranges

LOW, HIGH = -(2**63), 2**63 - 1


@pytest.mark.parametrize(
    "codes",
    [
        pytest.param(st.integers(-3, 3), id="close codes"),
        pytest.param(st.sampled_from([LOW, -(2**62), 0, 2**61, HIGH]), id="codes apart in their upper bits"),
        pytest.param(st.sampled_from([LOW, LOW + 1, 0, 1, 2, HIGH - 1, HIGH]), id="codes apart in lower bits only"),
        pytest.param(st.integers(LOW, HIGH), id="any codes"),
    ],
)
@pytest.mark.parametrize("index", [True, False], ids=["with index", "without index"])
def test_pairs(codes: st.SearchStrategy[int], index: bool) -> None:
    @settings(max_examples=80, derandomize=True, deadline=None, database=None)
    @given(st.lists(st.tuples(st.integers(0, 3), codes), max_size=20))
    def agree(rows: list[tuple[int, int]]) -> None:
        groups = np.array([group for group, _ in rows], np.int64)
        values = np.array([code for _, code in rows], np.int64)
        found = pairs(groups, values, index=index)
        expected = sorted(collections.Counter(rows).items())
        assert list(zip(found.groups.tolist(), found.codes.tolist(), strict=True)) == [pair for pair, _ in expected]
        assert found.counts.tolist() == [count for _, count in expected]
        lengths = collections.Counter(group for (group, _), _ in expected)
        assert found.lengths(5).tolist() == [lengths[group] for group in range(5)]
        if index:
            assert [expected[at][0] for at in found.index.tolist()] == rows

    agree()


def test_ranges() -> None:
    assert ranges(np.array([5, 0, 7]), np.array([2, 0, 3])).tolist() == [5, 6, 7, 8, 9]
    assert ranges(np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []
