"""Two versions of one definition side by side: their answers over the same events, in one read transaction."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, Final

import numpy as np
import sqlalchemy as sa

from tandem.schemas.columns import RESERVED_PREFIX
from tandem.schemas.errors import StoreError
from tandem.views.answers.differences import Comparison, MeasureDifferences, Pair, Place, Side, count_key, trim
from tandem.views.answers.merging import merge_results
from tandem.views.answers.reading.rows import TileRow, all_rows
from tandem.views.answers.reading.scope import Scope
from tandem.views.batch.built import built_rows
from tandem.views.live.conservation import batch_received, live_received, live_residues
from tandem.views.live.run_locks import RUNS
from tandem.views.publishing import pointer as publishing
from tandem.views.publishing.coverage import Coverage
from tandem.views.rows import Compiled
from tandem.views.storage.tables import batch_runs, definitions, live_runs, live_totals
from tandem.views.store import ViewStore

__all__ = ["compare"]

_AT_ONCE: Final = 10_000
"""Keys and steps in one merge."""


def compare(store: ViewStore, old: Compiled, new: Compiled) -> Comparison:
    """Compare all answers of two versions of one name, over the generations that both hold whole.

    The served version is compared as it is served, the other one by its newest runs. Streams: memory holds some ten
    thousand rows. Raises StoreError for a version without runs.
    """
    with store.database.read() as connection:
        sides = [_scope(connection, store, compiled) for compiled in (old, new)]
        upto, uncovered, left_out = _common(connection, store, *sides)
        step = math.lcm(old.definition.tile, new.definition.tile)
        served = publishing.current(connection, old.definition.name)
        shown = [_side(connection, scope, upto, served) for scope in sides]
        found = Comparison(shown[0], shown[1], step, upto, uncovered, left_out)
        found.measures = {name: MeasureDifferences() for name in _shared(old, new)}
        rows = [
            _answers(connection, compiled, scope, step, upto) for compiled, scope in zip((old, new), sides, strict=True)
        ]
        for _, of_key in groupby(_paired(*rows), key=lambda pair: pair[0][0]):
            count_key(found, of_key)
    for measure in found.measures.values():
        trim(measure)
    return found


def _shared(old: Compiled, new: Compiled) -> list[str]:
    theirs = {name for name, _ in new.measures}
    names = [name for name, _ in old.measures if name in theirs and not name.startswith(RESERVED_PREFIX)]
    derived = {name for name, _ in new.derive_results}
    return names + [name for name, _ in old.derive_results if name in derived]


def _scope(connection: sa.Connection, store: ViewStore, compiled: Compiled) -> Scope:
    name, version = compiled.definition.name, compiled.version
    served = publishing.current(connection, name)
    definition = connection.execute(sa.select(definitions).where(definitions.c.version == version)).first()
    if definition is not None and served is not None and served.definition == definition.id:
        batch, live = served.batch_run, served.live_run
    else:
        rows = built_rows(connection, version)
        batch = rows[0].ordinal if rows[0] is not None else None
        live = rows[1].id if rows[1] is not None else None
    if definition is None or (batch is None and live is None):
        raise StoreError(f"{name}: nothing was built of version {version}; `tandem backfill --no-publish` builds it")
    runs = connection.execute(sa.select(batch_runs).where(batch_runs.c.ordinal == batch)).first()
    lives = connection.execute(RUNS.where(live_runs.c.id == live)).first()
    return Scope(
        name=name,
        version=version,
        publication=0,
        definition=definition.id,
        boundary=runs.boundary if runs is not None else 0,
        batch_ordinal=batch,
        batch_run=runs.id if runs is not None else None,
        chain=store.chains.of(connection, batch),
        live_id=live,
        live_run=lives.run if lives is not None else None,
        watermark=lives.watermark if lives is not None else None,
    )


def _side(connection: sa.Connection, scope: Scope, upto: int, served: Any) -> Side:
    return Side(
        version=scope.version,
        served=served is not None and served.definition == scope.definition,
        boundary=scope.boundary,
        batch_run=scope.batch_run,
        live_run=scope.live_run,
        pending_late=_late(connection, scope, upto),
    )


def _late(connection: sa.Connection, scope: Scope, upto: int) -> int:
    t = live_totals.c
    query = sa.select(sa.func.sum(t.late)).where(t.run == scope.live_id, t.generation.between(scope.boundary + 1, upto))
    return int(connection.execute(query).scalar() or 0)


def _common(
    connection: sa.Connection, store: ViewStore, old: Scope, new: Scope
) -> tuple[int, tuple[str, ...], tuple[int, ...]]:
    """(last generation to compare, reasons why the events up to there differ, generations after it)."""
    low = max(old.boundary, new.boundary)
    whole = [_whole(connection, store, scope) for scope in (old, new)]
    problems = list(_files_apart(connection, store, old, new))
    for scope, mine, theirs in ((old, whole[0], whole[1]), (new, whole[1], whole[0])):
        for generation in range(scope.boundary + 1, low + 1):
            wanted = abs(theirs.get(generation, 0))
            if mine.get(generation, 0) != wanted:
                problems.append(
                    f"version {scope.version} doesn't hold all {wanted} messages of generation {generation}"
                )
    later = sorted(g for g in {*whole[0], *whole[1]} if g > low)
    upto = low
    for at, generation in enumerate(later):
        counts = {mine.get(generation, 0) for mine in whole}
        if len(counts) > 1 or min(counts) < 0:
            return upto, tuple(problems), tuple(later[at:])
        upto = generation
    return upto, tuple(problems), ()


def _whole(connection: sa.Connection, store: ViewStore, scope: Scope) -> dict[int, int]:
    """Messages by generation of the journal; negative for a generation of which some events haven't reached their
    tiles.
    """
    found = {g: n for g, n in batch_received(connection, scope.chain).items() if 0 < g <= scope.boundary}
    if scope.live_id is not None:
        residues = live_residues(connection, scope.live_id, scope.boundary)
        for generation, count in live_received(connection, scope.live_id).items():
            if generation > scope.boundary:
                found[generation] = -count if residues.get(generation) else count
    return found


def _files_apart(connection: sa.Connection, store: ViewStore, old: Scope, new: Scope) -> Iterator[str]:
    coverage = Coverage(connection, store.chains, old.name)
    files = [coverage.files(scope.batch_ordinal) if scope.batch_ordinal is not None else {} for scope in (old, new)]
    for scope, mine, theirs in ((new, files[1], files[0]), (old, files[0], files[1])):
        missing = sorted(path for digest, path in theirs.items() if digest not in mine)
        if missing:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            yield f"version {scope.version} hasn't read {', '.join(missing[:3])}{more}"


Found = tuple[Place, dict[str, Any]]


def _answers(connection: sa.Connection, compiled: Compiled, scope: Scope, step: int, upto: int) -> Iterator[Found]:
    """The results of every key and step, in the order of both."""
    streams = all_rows(connection, scope)
    rows = (row for row in heapq.merge(*streams, key=itemgetter(0, 1)) if row.generation <= upto)
    places = groupby(rows, key=lambda row: (row.key, row.tile // step * step))
    held = ((place, list(states)) for place, states in places)
    while chunk := list(islice(held, _AT_ONCE)):
        yield from _merged(compiled, chunk)


def _merged(compiled: Compiled, chunk: list[tuple[Place, list[TileRow]]]) -> Iterator[Found]:
    groups = np.repeat(np.arange(len(chunk)), [len(rows) for _, rows in chunk])
    states = [row.states for _, rows in chunk for row in rows]
    name = compiled.definition.name
    results = merge_results(compiled, states, groups, len(chunk), f"{name}, all keys")
    return zip((place for place, _ in chunk), results, strict=True)


def _paired(old: Iterator[Found], new: Iterator[Found]) -> Iterator[Pair]:
    """Pairs the results of both sides by place; both come in the order of places."""
    a, b = next(old, None), next(new, None)
    while a is not None or b is not None:
        if b is None or (a is not None and a[0] < b[0]):
            assert a is not None
            yield a[0], a[1], None
            a = next(old, None)
        elif a is None or b[0] < a[0]:
            yield b[0], None, b[1]
            b = next(new, None)
        else:
            yield a[0], a[1], b[1]
            a, b = next(old, None), next(new, None)
