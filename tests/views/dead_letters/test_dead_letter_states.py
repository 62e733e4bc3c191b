"""Which dead letters are open follows from what is served, in whatever order the facts came in."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tandem.views.answers.point import answer
from tandem.views.dead_letters import pages
from tandem.views.dead_letters.facts import LetterNote
from tandem.views.rows import BatchManifest, DeadLetterStatus, FileSet, GenerationCounts

OPEN, REPLAYED, DROPPED = DeadLetterStatus.OPEN, DeadLetterStatus.REPLAYED, DeadLetterStatus.DROPPED


@dataclass(frozen=True)
class Fate:
    row: int
    original: str
    original_row: int
    attempt: int
    decoded: bool
    stage: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Segment:
    position: str
    number: int
    generation: int
    received: int
    routed: int = 0
    filtered: int = 0
    dead: int = 0
    late: Sequence[tuple[int, int]] = ()
    duplicates: int = 0
    dead_rows: tuple[int, ...] = ()
    replays: tuple[Fate, ...] = ()


def segment(number: int, generation: int, dead: Sequence[int], replays: Sequence[Fate] = (), lane: str = "J/0") -> Any:
    """Five records, those of `dead` dead and the others filtered."""
    rows, fates = tuple(dead), tuple(replays)
    counts: dict[str, Any] = {"received": 5, "filtered": 5 - len(rows), "dead": len(rows)}
    return Segment(lane, number, generation, dead_rows=rows, replays=fates, **counts)


def failed(row: int, original: str, original_row: int, attempt: int = 1) -> Fate:
    return Fate(row, original, original_row, attempt, False, "decode", "still bad")


def read(row: int, original: str, original_row: int, attempt: int = 1) -> Fate:
    return Fate(row, original, original_row, attempt, True)


@pytest.fixture(params=[None, 1], ids=["one-page", "page-by-page"], autouse=True)
def page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a story's letters are read at once, or each position by itself."""
    if request.param is not None:
        monkeypatch.setattr(pages, "_POSITIONS", request.param)


@pytest.fixture
def live(bench: Any) -> Any:
    bench.store.live.start("v1", "L1")
    bench.store.publishing.serve_live("orders", "v1", "L1")
    return bench


def states(bench: Any) -> dict[str, str]:
    return {f"{s.position}#{s.row}": s.status.value for s in bench.store.dead_letters.states("v1")}


def pending(bench: Any) -> int:
    return int(answer(bench.store, bench.compiled, "k", 0, bench.tile).certificate.dead_letters)


def take_in(bench: Any, *segments: Any, run: str = "L1") -> None:
    bench.store.live.write_segments("v1", run, segments)


def batch(bench: Any, name: str, boundary: int, notes: Sequence[LetterNote], dead: dict[int, int], **more: Any) -> None:
    """A finished batch run that noted these, with these numbers of dead records by generation."""
    bench.store.batch.start("v1", name, boundary=boundary, **more)
    bench.store.dead_letters.note("v1", name, notes)
    counts = [GenerationCounts(g, received=5, filtered=5 - dead[g], dead=dead[g]) for g in dead]
    bench.store.batch.finish(name, BatchManifest(tuple(counts)))


def test_a_replay_that_can_be_read_settles_its_letter_alone(live: Any) -> None:
    take_in(live, segment(1, 1, [1, 3]))
    assert (pending(live), states(live)) == (2, {"J/0/1#1": "open", "J/0/1#3": "open"})
    take_in(live, segment(2, 2, [], [read(0, "J/0/1", 3)]))
    assert (pending(live), states(live)) == (1, {"J/0/1#1": "open", "J/0/1#3": "replayed"})


def test_a_replay_that_fails_again_counts_with_its_original(live: Any) -> None:
    take_in(live, segment(1, 1, [1]))
    take_in(live, segment(2, 2, [0, 2], [failed(0, "J/0/1", 1)]))
    assert (pending(live), states(live)) == (2, {"J/0/1#1": "open", "J/0/2#2": "open"})
    letter = next(iter(live.store.dead_letters.states("v1")))
    assert (letter.tries, letter.attempts, letter.in_flight) == (2, 1, False)
    assert [(t.reason, t.position, t.row) for t in letter.tried] == [("still bad", "J/0/2", 0)]


def test_a_replay_of_nothing_known_is_a_letter_of_its_own(live: Any) -> None:
    take_in(live, segment(2, 2, [0], [failed(0, "elsewhere/0/1", 1)]))
    assert (pending(live), states(live)) == (1, {"J/0/2#0": "open"})


FACTS = {
    "original": segment(1, 1, [1]),
    "first replay, fails": segment(2, 2, [0], [failed(0, "J/0/1", 1)]),
    "second replay, fails": segment(3, 3, [0], [failed(0, "J/0/1", 1, 2)]),
    "third replay, can be read": segment(4, 3, [], [read(0, "J/0/1", 1, 3)]),
}


@pytest.mark.parametrize("order", list(itertools.permutations(FACTS)), ids=lambda order: order[0][:8])
def test_the_order_of_facts_does_not_matter(order: Sequence[str], live: Any) -> None:
    for name in order:
        take_in(live, FACTS[name])
        take_in(live, FACTS[name])
    assert (pending(live), states(live)) == (0, {"J/0/1#1": "replayed"})
    assert next(iter(live.store.dead_letters.states("v1"))).tries == 4


def test_what_a_run_that_is_not_served_could_read_stays_open(live: Any) -> None:
    take_in(live, segment(1, 1, [1]))
    live.store.live.start("v1", "L2")
    take_in(live, segment(1, 1, []), segment(2, 2, [], [read(0, "J/0/1", 1)]), run="L2")
    assert pending(live) == 1
    assert next(iter(live.store.dead_letters.states("v1"))).in_flight, "it could be read, but isn't served yet"
    take_in(live, segment(2, 2, []))
    live.store.publishing.serve_live("orders", "v1", "L2")
    assert (pending(live), states(live)) == (0, {"J/0/1#1": "replayed"})


def test_a_new_run_that_reads_the_original_settles_it_once_it_is_served(live: Any) -> None:
    take_in(live, segment(1, 1, [1, 2]))
    live.store.live.start("v1", "L2")
    take_in(live, segment(1, 1, [2]), run="L2")
    assert pending(live) == 2
    live.store.publishing.serve_live("orders", "v1", "L2")
    assert (pending(live), states(live)) == (1, {"J/0/1#1": "replayed", "J/0/1#2": "open"})


@pytest.mark.parametrize(
    ("note", "dead", "left"),
    [
        pytest.param([], 0, 0, id="read"),
        pytest.param([LetterNote("J/0/1", 1, [1])], 1, 1, id="still-dead"),
        pytest.param([], 1, 1, id="its-notes-are-missing"),
    ],
)
def test_a_batch_run_decides_up_to_its_boundary_once_it_is_served(note: Any, dead: int, left: int, live: Any) -> None:
    take_in(live, segment(1, 1, [1]))
    batch(live, "b1", 1, note, {1: dead}, built_for="L1")
    assert pending(live) == 1
    live.store.publishing.publish("orders", "v1", "b1", "L1")
    assert pending(live) == left


def test_a_replay_that_batch_can_not_read_opens_its_letter_again(live: Any) -> None:
    take_in(live, segment(1, 1, [1]), segment(2, 2, [], [read(0, "J/0/1", 1)]))
    assert pending(live) == 0
    notes = [LetterNote("J/0/1", 1, [1]), LetterNote("J/0/2", 2, [0], [failed(0, "J/0/1", 1)])]
    batch(live, "b1", 2, notes, {1: 1, 2: 1}, built_for="L1")
    live.store.publishing.publish("orders", "v1", "b1", "L1")
    assert (pending(live), states(live)) == (1, {"J/0/1#1": "open"})


def test_files_of_batch_runs_that_are_not_served_open_nothing(live: Any) -> None:
    note = LetterNote("a.jsonl/0", -1, [1])
    batch(live, "b1", 0, [note], {-1: 1}, file_sets=[FileSet(-1, "d")], built_for="L1")
    assert (pending(live), states(live)) == (0, {})
    live.store.publishing.publish("orders", "v1", "b1", "L1")
    assert (pending(live), states(live)) == (1, {"a.jsonl/0#1": "open"})


def test_dropped_letters_stay_dropped_and_keep_their_note(live: Any) -> None:
    take_in(live, segment(1, 1, [1, 3]))
    places = [("J/0/1", 1), ("J/0/1", 1), ("J/0/1", 2), ("nowhere", 0)]
    assert live.store.dead_letters.settle("v1", places, DROPPED, "spam") == 1
    assert live.store.dead_letters.settle("v1", places, DROPPED, "spam") == 0
    take_in(live, segment(2, 2, [0], [failed(0, "J/0/1", 1)]))
    assert (pending(live), states(live)) == (1, {"J/0/1#1": "dropped", "J/0/1#3": "open"})
    letter = next(iter(live.store.dead_letters.states("v1")))
    assert [(act.kind, act.note) for act in letter.acts] == [("dropped", "spam")]


def test_an_attempt_is_sent_once_and_can_be_taken_back(live: Any) -> None:
    take_in(live, segment(1, 1, [1]))
    sent = [(("J/0/1", 1), 1, "topic")]
    assert live.store.dead_letters.send("v1", sent) == [True]
    assert live.store.dead_letters.send("v1", sent) == [False]
    assert next(iter(live.store.dead_letters.states("v1"))).in_flight
    live.store.dead_letters.unsend("v1", [(("J/0/1", 1), 1)])
    assert not next(iter(live.store.dead_letters.states("v1"))).in_flight
    assert live.store.dead_letters.send("v1", sent) == [True]
    take_in(live, segment(2, 2, [0], [failed(0, "J/0/1", 1)]))
    letter = next(iter(live.store.dead_letters.states("v1")))
    assert (letter.in_flight, letter.attempts, letter.status) == (False, 1, OPEN)


def test_duplicates_that_routing_found_are_conserved(live: Any) -> None:
    counts: dict[str, Any] = {"received": 3, "filtered": 1, "dead": 1, "duplicates": 1, "dead_rows": (0,)}
    take_in(live, Segment("J/0", 1, 1, **counts))
    assert live.store.residues.of_live_run("v1", "L1") == {1: 0}


@pytest.mark.parametrize(
    ("row", "batch_run", "live_run", "noted"),
    [
        pytest.param(1, None, "L1", True, id="by-the-run-itself"),
        pytest.param(2, None, "L1", False, id="another-row"),
        pytest.param(1, None, None, False, id="by-nobody-asked"),
        pytest.param(2, "b1", None, True, id="by-its-batch-run"),
        pytest.param(1, "b1", None, False, id="by-another-than-its-batch-run"),
    ],
)
def test_who_noted_a_letter(row: int, batch_run: str | None, live_run: str | None, noted: bool, live: Any) -> None:
    take_in(live, segment(1, 1, [1]))
    batch(live, "b1", 1, [LetterNote("J/0/1", 1, [2])], {1: 1}, built_for="L1")
    assert live.store.dead_letters.is_noted("v1", "J/0/1", row, batch_run, live_run) is noted


def test_everything_is_of_one_version(live: Any) -> None:
    take_in(live, segment(1, 1, [1]))
    assert [s.status for s in live.store.dead_letters.states("v1", REPLAYED)] == []
    assert [s.status for s in live.store.dead_letters.states("v1", OPEN)] == [OPEN]
