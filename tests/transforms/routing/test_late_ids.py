"""A copy that came too late in one lane and in time in another: both views must not count it at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa
import pytest
from samples import sales
from samples.sales import Sale

from tandem.schemas.columns import EVENTS, GENERATION
from tandem.transforms.elements import SourceBatch
from tandem.transforms.fold.state import TileState
from tandem.transforms.routing.tiles import route

COMPILED = sales.compiled()
LONG_AFTER = sales.TILE + sales.LATENESS
"""A watermark by which the first tile is closed."""

Make = Callable[..., SourceBatch]


def part(source_batch: Make, sale: Sale, generation: int, late: bool) -> pa.RecordBatch:
    batch = source_batch(COMPILED, [sale.payload()], generation, LONG_AFTER if late else None)
    ((_, events),) = route(COMPILED, 1, batch).parts
    return events


def straddling(state: TileState, panes: Sequence[list[pa.RecordBatch]]) -> list[tuple[int, int]]:
    """(counted, earlier generation) of all straddlers that the panes brought."""
    updates = [state.update(parts, "early") for parts in panes]
    return [(s.counted_generation, s.earlier_generation) for update in updates for s in update.cross_duplicates]


@pytest.mark.parametrize(
    ("copies", "expected"),
    [
        pytest.param([(1, True), (2, False)], [(2, 1)], id="late first"),
        pytest.param([(2, False), (1, True)], [(2, 1)], id="late second"),
        pytest.param([(1, False), (2, True)], [], id="late in the later generation"),
        pytest.param([(2, True), (2, False)], [], id="late in the same generation"),
        pytest.param([(2, True), (1, True), (3, False)], [(3, 1)], id="two late ones: the earliest decides"),
        pytest.param([(3, False), (2, True), (1, True)], [(3, 2), (3, 1)], id="two late ones behind it"),
        pytest.param([(1, True)], [], id="late alone"),
    ],
)
@pytest.mark.parametrize("together", [False, True], ids=["a pane each", "one pane"])
@pytest.mark.parametrize("restored", [False, True], ids=["", "restored between"])
def test_straddlers_of_late_copies(
    source_batch: Make,
    copies: list[tuple[int, bool]],
    expected: list[tuple[int, int]],
    together: bool,
    restored: bool,
) -> None:
    parts = [part(source_batch, Sale("p", 1), generation, late) for generation, late in copies]
    state, found, entries, ids = TileState(COMPILED, (0, 0)), [], list[bytes](), list[bytes]()
    for pane in [parts] if together else [[p] for p in parts]:
        if restored:
            state = TileState(COMPILED, (0, 0))
            state.restore(entries, ids)
        update = state.update(pane, "early")
        entries.append(state.delta_bytes(update))
        ids += state.new_parts(update)
        found += [(s.counted_generation, s.earlier_generation) for s in update.cross_duplicates]
    earliest = [(counted, min(e for c, e in found if c == counted)) for counted in sorted({c for c, _ in found})]
    assert earliest == expected[-1:]
    assert state.block is not None
    counted = [g for g, late in copies if not late]
    assert state.block.column(GENERATION).to_pylist() == counted
    assert state.block.column(EVENTS).to_pylist() == [1] * len(counted)


def test_a_late_event_is_not_tallied_here(source_batch: Make) -> None:
    state = TileState(COMPILED, (0, 0))
    update = state.update([part(source_batch, Sale("p", 1), 1, True)], "early")
    assert update.tallies == ()
    assert update.block.num_rows == 0
    assert straddling(state, [[part(source_batch, Sale("p", 1), 1, False)]]) == []


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(lambda state: ([state.snapshot_bytes()], state.all_parts()), id="by the runner"),
        pytest.param(lambda state: ([state.evicted_bytes()], []), id="by the store"),
    ],
)
def test_late_ids_are_kept(source_batch: Make, kept: Callable[[TileState], tuple[list[bytes], list[bytes]]]) -> None:
    state = TileState(COMPILED, (0, 0))
    state.update([part(source_batch, Sale("p", 1), 1, True)], "early")
    again = TileState(COMPILED, (0, 0))
    again.restore(*kept(state))
    assert straddling(again, [[part(source_batch, Sale("p", 1), 4, False)]]) == [(4, 1)]
