"""Each rule of batch states in files, and the product broken on purpose where it is kept: its check must see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from breaking.layer_breaks import LAYER_BREAKS

import tandem.views.layers.writing
from tandem.schemas.errors import DamagedStoreError, StoreError
from tandem.views.answers.all_steps import all_answers
from tandem.views.answers.point import answer
from tandem.views.layers.catalog import layer_files
from tandem.views.layers.cutting import Part
from tandem.views.layers.reading import rows_of_span
from tandem.views.layers.removing import GRACE
from tandem.views.rows import BatchManifest, GenerationCounts

T = 60_000_000
WHOLE = Part(0, 0, 0, 255)
Rows = list[tuple[int, str, int]]
"""(tile, key, events)."""

FIRST: Rows = [(0, '["a"]', 2), (0, '["b"]', 1), (T, '["a"]', 3)]
SECOND: Rows = [(0, '["a"]', 1), (2 * T, '["b"]', 7)]


def layers(bench: Any) -> Path:
    return Path(bench.store.database.url.database).parent / "layers"


def begin(bench: Any, run: str, rows: Rows, parent: str | None = None) -> None:
    """A run that is being built, its file written and named."""
    boundary = bench.store.batch.get(parent).boundary + 1 if parent else 1
    bench.store.batch.start("v1", run, boundary=boundary, parent=parent)
    block = bench.block(*((tile, key, n, 10 * n) for tile, key, n in rows))
    bench.store.batch.write_part(bench.compiled, run, str(layers(bench)), WHOLE, block)


def build(bench: Any, run: str, rows: Rows, parent: str | None = None) -> None:
    """A run that is finished and served."""
    begin(bench, run, rows, parent)
    events = sum(n for *_, n in rows)
    counts = GenerationCounts(bench.store.batch.get(run).boundary, received=events, counted=events)
    bench.store.batch.finish(run, BatchManifest((counts,)))
    bench.store.publishing.publish("orders", "v1", run)


def swept(bench: Any, times: int = 2) -> list[str]:
    """What is left at the place once the grace time of all that is found is over: run and name of each file."""
    for _ in range(times):
        bench.store.publishing.prune("orders", keep=1)
        bench.time += GRACE
    return sorted(f"{path.parent.name}/{path.name[:1]}" for path in layers(bench).rglob("*.*"))


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


def check_others(bench: Any) -> None:
    """Neither another store's files nor those of runs that this store doesn't know are removed, nor half-built ones."""
    build(bench, "B1", FIRST)
    own = next(layers(bench).iterdir())
    begin(bench, "B2", SECOND, "B1")
    for place in (layers(bench) / "another" / "B1", own / "unknown", own / "B2"):
        put(place / "x.arrow")
    left = swept(bench, 3)
    assert left == ["B1/0", "B1/x", "B2/0", "B2/x", "unknown/x"]


def check_grace(bench: Any) -> None:
    """Who read the list of files before a run was dropped can still read them."""
    build(bench, "B1", FIRST)
    with bench.store.database.read() as connection:
        files = layer_files(connection, 1, frozenset({1}))
    build(bench, "B2", SECOND)
    bench.store.publishing.prune("orders", keep=1)
    try:
        rows = [rows for file in files for rows in rows_of_span(file)]
    except StoreError as error:
        raise AssertionError("a file went while somebody read it") from error
    assert sum(len(part.tiles) for part in rows) == len(FIRST)


def check_orphans(bench: Any) -> None:
    """What a killed writer left is found, and goes after the grace time, not before; so does what was dropped."""
    build(bench, "B1", FIRST)
    put(next(layers(bench).glob("*/B1")) / "half.arrow")
    assert swept(bench, 1) == ["B1/0", "B1/h"]
    assert swept(bench, 1) == ["B1/0"]


def check_finishing(bench: Any) -> None:
    """A run whose file is gone can't be finished."""
    begin(bench, "B1", FIRST)
    next(layers(bench).glob("*/B1/*")).unlink()
    try:
        bench.store.batch.finish("B1", BatchManifest((GenerationCounts(1, received=6, counted=6),)))
    except StoreError:
        return
    raise AssertionError("a run was finished without its file")


def check_every_byte(bench: Any) -> None:
    """A changed byte anywhere in a batch is refused when it is read."""
    build(bench, "B1", FIRST)
    (path,) = layers(bench).glob("*/B1/*")
    with bench.store.database.read() as connection:
        (file,) = layer_files(connection, 1, frozenset({1}))
    whole = path.read_bytes()
    (batch,) = file.batches
    for at in range(batch.offset, batch.offset + batch.size, 41):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 16]) + whole[at + 1 :])
        with refused(f"byte {at}"):
            list(all_answers(bench.store, bench.compiled))


@contextmanager
def refused(what: str) -> Iterator[None]:
    try:
        yield
    except DamagedStoreError as error:
        said = str(error)
    else:
        raise AssertionError(f"{what} was changed, and it was answered all the same")
    assert "tandem reconcile --deep" in said


def check_states(bench: Any) -> None:
    """A state that was changed before its batch was written is refused: its own checksum differs."""
    intact = tandem.views.layers.writing._columns

    def columns(*arguments: Any) -> pa.RecordBatch:
        batch = intact(*arguments)
        at = batch.schema.get_field_index("__states")
        states = [bytes([*value[:-8], value[-8] ^ 1, *value[-7:]]) for value in batch.column(at).to_pylist()]
        return batch.set_column(at, batch.schema.field(at), pa.array(states, pa.binary()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tandem.views.layers.writing, "_columns", columns)
        build(bench, "B1", FIRST)
    with refused("a state"):
        list(all_answers(bench.store, bench.compiled))


def check_attempts(bench: Any) -> None:
    """Of two attempts that saw other states the last one counts, whole."""
    begin(bench, "B1", FIRST[:2])
    block = bench.block(*((tile, key, n, 10 * n) for tile, key, n in FIRST))
    bench.store.batch.write_part(bench.compiled, "B1", str(layers(bench)), WHOLE, block)
    try:
        bench.store.batch.finish("B1", BatchManifest((GenerationCounts(1, received=6, counted=6),)))
        bench.store.publishing.publish("orders", "v1", "B1")
        told = {(row.key, row.start): row.events for row in all_answers(bench.store, bench.compiled)}
    except StoreError as error:
        raise AssertionError("the second attempt is not to be read") from error
    assert told == {(key, tile): n for tile, key, n in FIRST}


def check_answers(bench: Any) -> None:
    """A run over a run answers for the events of both, asked for one key and for all."""
    build(bench, "B1", FIRST)
    build(bench, "B2", SECOND, "B1")
    wanted: dict[tuple[str, int], int] = {}
    for tile, key, n in (*FIRST, *SECOND):
        wanted[key, tile] = wanted.get((key, tile), 0) + n
    assert {(row.key, row.start): row.events for row in all_answers(bench.store, bench.compiled)} == wanted
    for key in ('["a"]', '["b"]'):
        events = answer(bench.store, bench.compiled, key, 0, 4 * T).certificate.events
        assert events == sum(n for (of, _), n in wanted.items() if of == key)


CHECKS: dict[str, Callable[[Any], None]] = {
    "all_that_lies_there_is_ours": check_others,
    "files_of_unknown_runs_are_orphans": check_others,
    "files_of_a_run_that_is_built_are_orphans": check_others,
    "files_go_at_once": check_grace,
    "files_go_before_the_database_forgets_them": check_grace,
    "orphans_are_not_looked_for": check_orphans,
    "a_run_is_finished_without_a_look_at_its_files": check_finishing,
    "batches_are_not_checked": check_every_byte,
    "rows_are_not_checked": check_states,
    "names_have_no_digest": check_attempts,
    "keys_are_sought_in_another_bucket": check_answers,
    "ancestors_files_are_overlooked": check_answers,
}
"""For each break the check that must find it."""


@pytest.mark.parametrize("check", dict.fromkeys(CHECKS.values()), ids=lambda check: check.__name__)
def test_the_rule_holds(bench: Any, check: Callable[[Any], None]) -> None:
    check(bench)


@pytest.mark.parametrize("name", LAYER_BREAKS)
def test_its_break_is_found(bench: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    LAYER_BREAKS[name](monkeypatch)
    with pytest.raises(AssertionError):
        CHECKS[name](bench)
