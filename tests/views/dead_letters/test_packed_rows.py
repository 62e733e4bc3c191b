"""Row numbers stay packed until they are looked at: millions of dead letters fit into little memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Set
from typing import Any

import pytest

from tandem.views.dead_letters.facts import LetterNote
from tandem.views.dead_letters.packed_rows import PackedRows, pack_rows, unpack_rows
from tandem.views.rows import BatchManifest, FileSet, GenerationCounts, Publication

POSITIONS, ROWS = 24, 1 << 14
"""As sets of numbers they take more than 30 MB."""
MOST = 12 << 20


@pytest.mark.parametrize("rows", [(), (0,), (4, 2, 2**40)], ids=["none", "zero", "several"])
def test_they_are_the_set_that_was_packed(rows: tuple[int, ...]) -> None:
    packed: Set[int] = PackedRows(pack_rows(rows))
    plain: Set[int] = frozenset(rows)
    assert unpack_rows(pack_rows(rows)) == plain
    assert (packed == plain, plain == packed, len(packed), sorted(packed)) == (True, True, len(rows), sorted(rows))
    assert [row in packed for row in (0, 2, 3)] == [row in rows for row in (0, 2, 3)]
    assert (packed | {7}, packed - {0}, packed & {4}) == (plain | {7}, plain - {0}, plain & {4})


@pytest.fixture
def found(bench: Any) -> Any:
    """A finished batch run of one file, in pieces of bad records alone."""
    bench.store.batch.start("v1", "B1", boundary=0, file_sets=(FileSet(-1, "digest"),))
    for number in range(POSITIONS):
        bench.store.dead_letters.note("v1", "B1", [LetterNote(f"f/{number}", -1, range(ROWS))])
    dead = POSITIONS * ROWS
    bench.store.batch.finish("B1", BatchManifest((GenerationCounts(-1, received=dead, dead=dead),)))
    return bench.store


def peak(work: Any) -> tuple[Any, int]:
    tracemalloc.start()
    try:
        done = work()
        return done, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_what_a_run_found_is_told_in_little_memory(found: Any) -> None:
    letters, most = peak(lambda: found.dead_letters.found_by("v1", "B1"))
    count, counted = peak(lambda: sum(map(len, letters.values())))
    assert count == POSITIONS * ROWS
    assert max(most, counted) < MOST


def test_publishing_takes_little_memory(found: Any) -> None:
    published, most = peak(lambda: found.publishing.publish("orders", "v1", "B1", None))
    assert isinstance(published, Publication)
    assert most < MOST


def test_discarding_takes_little_memory(found: Any) -> None:
    assert peak(lambda: found.batch.discard("B1"))[1] < MOST
