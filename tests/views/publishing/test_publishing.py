"""What moves the pointer, and everything that must not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from breaking.torn_pointer import torn_publish

from tandem.schemas.errors import BatchOutdatedError, PublishRefusedError, StoreError
from tandem.views.answers.all_steps import all_answers
from tandem.views.answers.point import answer
from tandem.views.publishing.publications import Publishing
from tandem.views.rows import BatchManifest, Completeness, FileSet, GenerationCounts, LaneExtent, SegmentFile
from tandem.views.store import ViewStore

KEY = "k"


@pytest.fixture
def three(bench: Any) -> Any:
    """Live run L1 is served with generations 1 to 3, of 1, 2 and 4 events."""
    bench.store.live.start("v1", "L1", journal="j")
    for generation, events in ((1, 1), (2, 2), (3, 4)):
        bench.live("L1", generation, KEY, events)
    bench.store.publishing.serve_live("orders", "v1", "L1")
    return bench


def events(bench: Any) -> tuple[int, int]:
    """(events of batch, events of live) in the answer."""
    certificate = answer(bench.store, bench.compiled, KEY, 0, bench.tile).certificate
    return certificate.batch_events, certificate.events - certificate.batch_events


def test_publishing_moves_events_from_live_to_batch(three: Any) -> None:
    assert events(three) == (0, 7)
    three.batch("B1", 2, [(1, KEY, 1), (2, KEY, 2)])
    published = three.store.publishing.publish("orders", "v1", "B1", "L1", expected=1, note="nightly")
    assert (published.boundary, published.kind, published.note) == (2, "publish", "nightly")
    assert events(three) == (3, 4)
    assert three.store.publishing.served("orders") == published
    assert [p.ordinal for p in three.store.publishing.publications("orders")] == [2, 1]


def test_files_alone_need_no_live_run(bench: Any) -> None:
    told = Completeness(files_until=bench.tile)
    bench.batch("B1", 0, [(-1, KEY, 5)], file_sets=[FileSet(-1, "d")], completeness=told)
    bench.store.publishing.publish("orders", "v1", "B1", expected=0)
    certificate = answer(bench.store, bench.compiled, KEY, 0, bench.tile).certificate
    assert (certificate.events, certificate.status, certificate.reasons) == (5, "FINAL", ())


def unfinished(b: Any) -> None:
    b.batch("B1", 2, [(1, KEY, 1), (2, KEY, 2)], finish=False)


def batch_residue(b: Any) -> None:
    b.batch("B1", 2, [], finish=False)
    counts = (GenerationCounts(1, 1, 1), GenerationCounts(2, received=2, counted=1))
    b.store.batch.finish("B1", BatchManifest(counts))


def gap(b: Any) -> None:
    b.batch("B1", 2, [], finish=False)
    b.store.batch.finish("B1", BatchManifest((GenerationCounts(2, 2, 2),)))


def missing_files(b: Any) -> None:
    b.store.batch.start("v1", "B1", boundary=0, file_sets=[FileSet(-7, "d")])
    b.store.batch.finish("B1", BatchManifest())


def live_residue(b: Any) -> None:
    b.batch("B1", 2, [(1, KEY, 1), (2, KEY, 3)])
    b.store.live.write_segments("v1", "L1", [b.Segment("L1/b", 1, 2, 1, 1)])


def live_behind(b: Any) -> None:
    b.batch("B1", 4, [(1, KEY, 1), (2, KEY, 2), (3, KEY, 4), (4, KEY, 8)])


def duplicate(b: Any) -> None:
    b.store.batch.start("v1", "B1", boundary=1)
    update = b.Update(0, 0, b.block((1, KEY, 1, 10)), ids=b.ids((2**64 - 1, 5, 1)))
    b.store.batch.write(b.compiled, "B1", [update])
    b.store.batch.finish("B1", BatchManifest((GenerationCounts(1, 1, 1),)))
    late_news = b.Update(0, 0, b.block(), (), [b.CrossBoundaryDuplicate(2**64 - 1, 5, 3, 1)])
    b.store.live.write(b.compiled, "L1", [late_news])


def left_out_for_another(b: Any) -> None:
    b.store.live.start("v1", "L2", journal="j")
    b.store.live.write(b.compiled, "L2", [b.Update(0, 0, b.block(), (), [b.CrossBoundaryDuplicate(9, 9, 3, 1)])])
    b.batch("B1", 1, [(1, KEY, 1)], built_for="L2")


def other_journal_files(b: Any) -> None:
    b.store.batch.start("v1", "B1", boundary=0, file_sets=[FileSet(-1, "d")])
    update = b.Update(0, 0, b.block((-1, KEY, 1, 10)), ids=b.ids((1, 1, -1)))
    b.store.batch.write(b.compiled, "B1", [update])
    b.store.batch.finish("B1", BatchManifest((GenerationCounts(-1, 1, 1),)))


REFUSALS: list[Any] = [
    pytest.param(lambda b: None, "batch run 'B1' isn't one of version 'v1'", id="unknown batch run"),
    pytest.param(unfinished, "'B1' is BUILDING", id="unfinished batch run"),
    pytest.param(batch_residue, "residue of 1 events in generation 2", id="residue of batch"),
    pytest.param(gap, "generation 1 is in no manifest", id="gap in the generations"),
    pytest.param(missing_files, "generation -7 is in no manifest", id="files that weren't read"),
    pytest.param(live_residue, "residue of 1 events in generation 2", id="residue of live"),
    pytest.param(live_behind, "took in 0 of 8 records of generation 4", id="live is behind"),
    pytest.param(duplicate, "1 events of tile 0 are counted by batch run 'B1' and", id="a copy counted by both"),
    pytest.param(left_out_for_another, "left out of batch run 'B1' for another", id="a copy counted by none"),
    pytest.param(other_journal_files, "files of batch run 'B1' hold events of tile 0", id="files under live"),
]


@pytest.mark.parametrize(("prepare", "message"), REFUSALS)
def test_publishing_is_refused_and_changes_nothing(three: Any, prepare: Callable[[Any], None], message: str) -> None:
    prepare(three)
    before = (events(three), three.store.publishing.publications("orders"))
    with pytest.raises(PublishRefusedError, match=message) as refusal:
        three.store.publishing.publish("orders", "v1", "B1", "L1")
    assert str(refusal.value).startswith("orders: ")
    assert "\n" not in str(refusal.value)
    assert (events(three), three.store.publishing.publications("orders")) == before


@pytest.mark.parametrize("prepare", [duplicate, left_out_for_another])
def test_a_batch_run_that_can_be_built_anew_is_said_to_be_outdated(three: Any, prepare: Callable[[Any], None]) -> None:
    prepare(three)
    with pytest.raises(BatchOutdatedError):
        three.store.publishing.publish("orders", "v1", "B1", "L1")


def test_files_in_tiles_that_live_has_closed_are_published(three: Any) -> None:
    old = -10 * three.tile
    three.store.live.set_watermark("v1", "L1", old + 2 * three.tile)
    three.store.batch.start("v1", "B1", boundary=0, file_sets=[FileSet(-1, "d")])
    update = three.Update(old, 0, three.block((-1, KEY, 1, 10)), ids=three.ids((1, 1, -1)))
    three.store.batch.write(three.compiled, "B1", [update])
    three.store.batch.finish("B1", BatchManifest((GenerationCounts(-1, 1, 1),)))
    assert three.store.publishing.publish("orders", "v1", "B1", "L1").batch_run == "B1"
    three.store.live.set_watermark("v1", "L1", 0)
    three.batch("B2", 0, [], parent="B1")
    assert three.store.publishing.publish("orders", "v1", "B2", "L1").batch_run == "B2"


def test_the_boundary_does_not_go_down(three: Any) -> None:
    three.batch("B1", 1, [(1, KEY, 1)])
    three.batch("B2", 2, [(2, KEY, 2)], parent="B1")
    three.store.publishing.publish("orders", "v1", "B2", "L1")
    with pytest.raises(PublishRefusedError, match="boundary 1 is below 2"):
        three.store.publishing.publish("orders", "v1", "B1", "L1")


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        pytest.param((), "1 files that are served would no longer be covered", id="not known"),
        pytest.param(("/d/a.csv",), "1 files that are served would no longer be covered: /d/a.csv", id="one"),
        pytest.param(
            ("/d/a", "/d/b", "/d/c", "/d/d"),
            "4 files that are served would no longer be covered: /d/a, /d/b, /d/c and 1 more",
            id="many",
        ),
    ],
)
def test_files_are_not_given_up(bench: Any, paths: tuple[str, ...], told: str) -> None:
    bench.batch("B1", 0, [(-1, KEY, 5)], file_sets=[FileSet(-1, "d")], finish=False)
    read = tuple(SegmentFile(path, size=9, digest=path, count=1) for path in paths)
    bench.store.batch.finish("B1", BatchManifest((GenerationCounts(-1, received=5, counted=5),), read))
    bench.batch("B2", 0, [])
    bench.store.publishing.publish("orders", "v1", "B1")
    with pytest.raises(BatchOutdatedError, match=f"{told}: another batch run"):
        bench.store.publishing.publish("orders", "v1", "B2")


def test_the_served_live_run_is_not_given_up_before_batch_covers_it(three: Any) -> None:
    three.batch("B1", 2, [(1, KEY, 1), (2, KEY, 2)])
    with pytest.raises(PublishRefusedError, match="without a live run there isn't segment 3 of lane L1/a"):
        three.store.publishing.publish("orders", "v1", "B1")
    three.batch("B2", 3, [(3, KEY, 4)], parent="B1")
    three.store.publishing.publish("orders", "v1", "B2")
    assert events(three) == (7, 0)


def test_of_two_publishers_one_is_told(three: Any) -> None:
    three.batch("B1", 1, [(1, KEY, 1)])
    three.batch("B2", 2, [(2, KEY, 2)], parent="B1")
    three.store.publishing.publish("orders", "v1", "B1", "L1", expected=1)
    with pytest.raises(PublishRefusedError, match="another publisher was faster: publication 2 is served, expected 1"):
        three.store.publishing.publish("orders", "v1", "B2", "L1", expected=1)
    with pytest.raises(PublishRefusedError, match="expected 0"):
        three.store.publishing.serve_live("orders", "v1", "L1", expected=0)


# Another live run takes over.


def second(b: Any, *, first: int = 1, last: int = 3) -> None:
    b.store.live.start("v1", "L2", journal="j", takeover=[LaneExtent("L1/a", last, first)])


def replay(b: Any, generation: int, count: int, *, routed: int | None = None) -> None:
    """Segment g of L1's lane, taken in by L2."""
    b.store.live.write_segments("v1", "L2", [b.Segment("L1/a", generation, generation, count, count)])
    folded = count if routed is None else routed
    block = b.block((generation, KEY, folded, 10 * folded))
    b.store.live.write(b.compiled, "L2", [b.Update(0, 0, block, [b.Tally(generation, folded)])])


def test_a_run_that_took_over_is_served_once_it_has_every_segment(three: Any) -> None:
    second(three)
    replay(three, 1, 1)
    replay(three, 3, 4)
    with pytest.raises(PublishRefusedError, match="doesn't have segment 2 of lane L1/a"):
        three.store.publishing.serve_live("orders", "v1", "L2")
    replay(three, 2, 2)
    assert three.store.publishing.serve_live("orders", "v1", "L2").live_run == "L2"
    assert events(three) == (0, 7)


def test_a_run_that_took_over_waits_for_segments_that_nobody_recorded(three: Any) -> None:
    second(three, last=4)
    for generation, count in ((1, 1), (2, 2), (3, 4)):
        replay(three, generation, count)
    with pytest.raises(PublishRefusedError, match="not caught up: 1 segments of lane L1/a are missing, first 4 of 4"):
        three.store.publishing.serve_live("orders", "v1", "L2")


def test_a_run_that_took_over_is_not_served_with_a_residue(three: Any) -> None:
    second(three)
    for generation, count in ((1, 1), (2, 2), (3, 4)):
        replay(three, generation, count, routed=count - (generation == 3))
    with pytest.raises(PublishRefusedError, match="caught up: it has dealt with 3 of the 4 messages of generation 3"):
        three.store.publishing.serve_live("orders", "v1", "L2")


def test_a_run_stands_on_the_batch_run_that_it_began_with(three: Any) -> None:
    three.batch("B1", 2, [(1, KEY, 1), (2, KEY, 2)])
    three.store.publishing.publish("orders", "v1", "B1", "L1")
    three.store.live.start("v1", "L2", journal="j", base_batch_run="B1", takeover=[LaneExtent("L1/a", 3, 3)])
    replay(three, 3, 4)
    assert three.store.publishing.serve_live("orders", "v1", "L2").boundary == 2
    assert events(three) == (3, 4)
    with pytest.raises(PublishRefusedError, match="generations 1 to 2 would be missing"):
        three.store.publishing.roll_back("orders", 1)


def test_what_batch_leaves_to_its_live_run_is_never_counted_twice_by_later_ones(three: Any) -> None:
    """Event 9 has copies in generations 1 and 3, and L1 counted the later one."""
    straddling = three.Update(0, 0, three.block(), (), [three.CrossBoundaryDuplicate(9, 9, 3, 1)])
    three.store.live.write(three.compiled, "L1", [straddling])
    three.batch("B1", 1, [(1, KEY, 1)], built_for="L1")
    three.store.publishing.publish("orders", "v1", "B1", "L1")
    extent = LaneExtent("L1/a", 3, 2)
    three.store.live.start("v1", "L2", journal="j", base_batch_run="B1", takeover=[extent])
    replay(three, 2, 2)
    replay(three, 3, 4)
    three.store.publishing.serve_live("orders", "v1", "L2")
    three.store.batch.start("v1", "anew", boundary=1, built_for="L2")
    update = three.Update(0, 0, three.block((1, KEY, 1, 10)), ids=three.ids((9, 9, 1)))
    three.store.batch.write(three.compiled, "anew", [update])
    three.store.batch.finish("anew", BatchManifest((GenerationCounts(1, 1, 1),)))
    with pytest.raises(PublishRefusedError, match=r"1 events of tile 0 are counted.*whose base 'B1' left them out"):
        three.store.publishing.publish("orders", "v1", "anew", "L2")
    three.batch("B2", 2, [(2, KEY, 2)], parent="B1", built_for="L2")
    assert three.store.publishing.publish("orders", "v1", "B2", "L2").boundary == 2


def test_a_layer_that_counts_what_was_left_out_needs_no_live_run_for_it(three: Any) -> None:
    straddling = three.Update(0, 0, three.block(), (), [three.CrossBoundaryDuplicate(9, 9, 3, 1)])
    three.store.live.write(three.compiled, "L1", [straddling])
    three.batch("B1", 1, [(1, KEY, 1)], built_for="L1")
    three.store.publishing.publish("orders", "v1", "B1", "L1")
    three.store.batch.start("v1", "B2", boundary=3, parent="B1")
    rows = three.block((2, KEY, 2, 20), (3, KEY, 4, 40))
    update = three.Update(0, 0, rows, ids=three.ids((9, 9, 3)))
    three.store.batch.write(three.compiled, "B2", [update])
    counts = (GenerationCounts(2, 2, 2), GenerationCounts(3, 4, 4))
    three.store.batch.finish("B2", BatchManifest(counts))
    assert three.store.publishing.publish("orders", "v1", "B2").live_run is None


# Rolling back.


@pytest.fixture
def two_published(three: Any) -> Any:
    """Publications 2 (boundary 1) and 3 (boundary 3)."""
    three.batch("B1", 1, [(1, KEY, 1)])
    three.store.publishing.publish("orders", "v1", "B1", "L1")
    three.batch("B2", 3, [(2, KEY, 2), (3, KEY, 4)], parent="B1")
    three.store.publishing.publish("orders", "v1", "B2", "L1")
    return three


def test_rolling_back_keeps_every_event(two_published: Any) -> None:
    assert events(two_published) == (7, 0)
    publication = two_published.store.publishing.roll_back("orders", 2, note="bad numbers")
    assert (publication.kind, publication.boundary, publication.ordinal) == ("rollback", 1, 4)
    assert events(two_published) == (1, 6)
    two_published.store.publishing.roll_back("orders", 3)
    assert events(two_published) == (7, 0)


def test_rolling_back_is_refused_once_live_was_pruned(two_published: Any) -> None:
    two_published.store.publishing.prune("orders", keep=1)
    with pytest.raises(PublishRefusedError, match=r"is LAYER"):
        two_published.store.publishing.roll_back("orders", 2)
    assert events(two_published) == (7, 0)


def test_late_events_are_given_up_only_when_it_is_accepted(three: Any) -> None:
    three.store.live.write_segments("v1", "L1", [three.Segment("L1/b", 1, 2, 1, 0, late=((0, 1),))])
    three.batch("B1", 1, [(1, KEY, 1)])
    three.store.publishing.publish("orders", "v1", "B1", "L1")
    three.batch("B2", 2, [(2, KEY, 3)], parent="B1")
    three.store.publishing.publish("orders", "v1", "B2", "L1")
    with pytest.raises(PublishRefusedError, match="1 late events of generations 2 to 2 are in batch alone"):
        three.store.publishing.roll_back("orders", 2)
    assert three.store.publishing.roll_back("orders", 2, accept_late=True).boundary == 1
    certificate = answer(three.store, three.compiled, KEY, 0, three.tile).certificate
    assert (certificate.events, certificate.pending_late, certificate.status) == (7, 1, "PARTIAL")


def test_rolling_back_is_refused_where_live_lost_something(two_published: Any) -> None:
    two_published.store.live.write_segments("v1", "L1", [two_published.Segment("L1/b", 1, 2, 1, 1)])
    with pytest.raises(PublishRefusedError, match="took in 3 of 2 records of generation 2"):
        two_published.store.publishing.roll_back("orders", 2)


def test_rolling_back_without_a_live_run_is_refused(three: Any) -> None:
    three.batch("B1", 2, [(1, KEY, 1), (2, KEY, 2)])
    three.store.publishing.publish("orders", "v1", "B1", "L1")
    three.batch("B2", 3, [(3, KEY, 4)], parent="B1")
    three.store.publishing.publish("orders", "v1", "B2")
    with pytest.raises(PublishRefusedError, match=r"generations 3 to 3 would be in no view.*up to 3 instead"):
        three.store.publishing.roll_back("orders", 2)


@pytest.mark.parametrize("name", ["orders", "nothing"])
def test_rolling_back_to_an_unknown_publication_is_refused(three: Any, name: str) -> None:
    with pytest.raises(PublishRefusedError, match=f"{name}: there is no publication 99"):
        three.store.publishing.roll_back(name, 99)


# Other versions.


def test_another_version_is_promoted_and_only_it_answers(three: Any) -> None:
    three.batch("B1", 3, [(1, KEY, 1), (2, KEY, 2), (3, KEY, 4)])
    three.store.publishing.publish("orders", "v1", "B1", "L1")
    newer = replace(three.compiled, version="v2")
    three.store.definitions.register(newer)
    three.store.batch.start("v2", "N1", boundary=3)
    update = three.Update(0, 0, three.block((1, KEY, 6, 60)), ids=three.ids())
    three.store.batch.write(newer, "N1", [update])
    three.store.batch.finish("N1", BatchManifest(tuple(GenerationCounts(g, n, n) for g, n in ((1, 1), (2, 2), (3, 3)))))
    assert three.store.publishing.publish("orders", "v2", "N1").kind == "promote"
    assert answer(three.store, newer, KEY, 0, three.tile).results["n"] == 6
    with pytest.raises(StoreError, match="version v2 is served, this was asked with version v1"):
        answer(three.store, three.compiled, KEY, 0, three.tile)


# One instant.


def rounds(bench: Any, tear: bool) -> set[int]:
    """Every total that readers of a second connection see while the pointer moves ten times."""
    seen: set[int] = set()
    reader = ViewStore(str(bench.store.database.where))
    stop = threading.Event()

    def look() -> None:
        seen.add(sum(row.events for row in all_answers(reader, bench.compiled)))

    def keep_looking() -> None:
        while not stop.is_set():
            look()

    thread = threading.Thread(target=keep_looking)
    thread.start()
    publish = torn_publish(look) if tear else Publishing.publish
    parent = None
    for generation in range(1, 11):
        run = f"R{generation}"
        bench.batch(run, generation, [(generation, KEY, 1)], parent=parent)
        publish(bench.store.publishing, "orders", "v1", run, "L1")
        parent = run
    stop.set()
    thread.join()
    reader.close()
    return seen


@pytest.mark.parametrize(
    ("tear", "whole"),
    [pytest.param(False, True, id="atomic"), pytest.param(True, False, id="torn on purpose")],
)
def test_readers_see_the_old_or_the_new_and_a_torn_pointer_shows(bench: Any, tear: bool, whole: bool) -> None:
    bench.store.live.start("v1", "L1", journal="j")
    for generation in range(1, 11):
        bench.live("L1", generation, KEY, 1)
    bench.store.publishing.serve_live("orders", "v1", "L1")
    assert (rounds(bench, tear) == {10}) is whole
