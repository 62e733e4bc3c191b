"""Letters are read in pages: the same whatever a page holds, in memory of one page."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from typing import Any, Final

import pytest

from tandem.views.dead_letters import pages
from tandem.views.dead_letters.facts import LetterNote
from tandem.views.rows import BatchManifest, DeadLetterStatus, FileSet, GenerationCounts

OPEN, DROPPED = DeadLetterStatus.OPEN, DeadLetterStatus.DROPPED
POSITIONS, ROWS = 60, 1_000
LEAST: Final = 2 << 20
"""Bytes of a page of a thousand letters, with what SQLAlchemy keeps; all letters as objects take over 10 MB."""


def note(bench: Any, name: str, notes: Sequence[LetterNote], *, files: int = -1, **more: Any) -> None:
    """A finished batch run that has read a set of files more than its parent, and found these letters in it."""
    sets = [FileSet(generation, f"digest {generation}") for generation in range(-1, files - 1, -1)]
    bench.store.batch.start("v1", name, boundary=0, file_sets=sets, **more)
    bench.store.dead_letters.note("v1", name, notes)
    dead = sum(len(each.rows) for each in notes)
    bench.store.batch.finish(name, BatchManifest((GenerationCounts(files, received=dead, dead=dead),)))


@pytest.fixture
def many(bench: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Letters in the thousands at each of many positions, of one batch run; pages of a thousand."""
    monkeypatch.setattr(pages, "_LETTERS", ROWS)
    note(bench, "B1", [LetterNote(f"/in/bad.csv/{at}", -1, range(ROWS)) for at in range(POSITIONS)])
    return bench


def peak_of(work: Any) -> int:
    """Most bytes of Python objects that a call held, beyond those before it."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def test_reading_holds_one_page(many: Any) -> None:
    next(iter(many.store.dead_letters.states("v1")))  # what is loaded once
    seen = []
    peak = peak_of(lambda: seen.append(sum(1 for _ in many.store.dead_letters.states("v1"))))
    assert seen == [POSITIONS * ROWS]
    assert peak < LEAST


def test_serving_holds_one_page(many: Any) -> None:
    many.store.dead_letters.settle("v1", [("/in/bad.csv/7", 7)], DROPPED, "spam")
    peak = peak_of(lambda: many.store.publishing.publish("orders", "v1", "B1"))
    assert peak < LEAST
    letters = many.store.dead_letters.states("v1", DROPPED)
    assert [(letter.position, letter.row) for letter in letters] == [("/in/bad.csv/7", 7)]


@pytest.mark.parametrize("most", [1, 2, 3, 10])
def test_pages_of_any_size_have_the_same_letters(bench: Any, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    note(bench, "B1", [LetterNote(f"/in/{name}.csv/{at}", -1, (1, 2)) for name in "ab" for at in range(3)])
    bench.store.dead_letters.send("v1", [((f"/in/{name}.csv/2", 1), 1, "/replays/r.csv#1") for name in "ab"])
    note(bench, "B2", [LetterNote("/replays/r.csv/0", -2, (0, 1))], files=-2, parent="B1")
    bench.store.dead_letters.settle("v1", [("/in/a.csv/1", 2)], DROPPED, "spam")
    whole = list(bench.store.dead_letters.states("v1"))
    assert [(s.position, s.row) for s in whole if s.position.startswith("/replays")] == [("/replays/r.csv/0", 0)]
    monkeypatch.setattr(pages, "_LETTERS", most)
    monkeypatch.setattr(pages, "_POSITIONS", most)
    assert list(bench.store.dead_letters.states("v1")) == whole
    wanted = {"/in/a.csv/1", "/in/b.csv/2", "/replays/r.csv/0", "/in/none/1"}
    some = list(bench.store.dead_letters.states("v1", positions=wanted))
    assert some == [state for state in whole if state.position in wanted]
    bench.store.publishing.publish("orders", "v1", "B2")
    served = list(bench.store.dead_letters.states("v1"))
    assert [state.status for state in served] == [state.status for state in whole]


def test_letters_that_are_settled_meanwhile_leave_no_gap(many: Any) -> None:
    """A reader that drops what it reads sees every letter once."""
    seen = []
    for state in many.store.dead_letters.states("v1", OPEN):
        if state.row == 5:
            many.store.dead_letters.settle("v1", [(state.position, state.row)], DROPPED)
        seen.append((state.position, state.row))
    assert len(seen) == len(set(seen)) == POSITIONS * ROWS
    assert sum(1 for _ in many.store.dead_letters.states("v1", DROPPED)) == POSITIONS
