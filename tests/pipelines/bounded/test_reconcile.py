"""The real reconcile, as the command runs it: what was tampered with is found, repaired once, and receipted."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from oracles.served_sales import check_served
from samples import sales
from samples.sales import START, Sale, differences, expected, items
from samples.sales_files import write_journal, write_jsonl
from servers.postgres_server import postgres_server

from tandem.pipelines import backfill, reconcile
from tandem.runners.options.reading import read_arguments
from tandem.schemas.errors import ParityError, PublishRefusedError, SegmentError, SourceFileError, UserError
from tandem.views.answers.all_steps import all_answers
from tandem.views.reconcile.digests import as_bytes, from_bytes, row_hash
from tandem.views.reconcile.receipts import receipt_keys, reconciliation_values
from tandem.views.reconcile.tables import batch_state_digests
from tandem.views.rows import PublicationKind
from tandem.views.storage.opening import open_store
from tandem.views.store import ViewStore

COMPILED = sales.compiled()


class Bench:
    """A home, a definition and the commands."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], *, write: bool = True) -> None:
        self.folder, self.home, self._capsys = folder, folder / "home", capsys
        self.yaml = folder / "sales.yaml"
        if write:
            self.yaml.write_text(sales.text())

    def backfill(self, *arguments: str) -> None:
        backfill.run(read_arguments("backfill", ["--definition", str(self.yaml), "--home", str(self.home), *arguments]))
        self._capsys.readouterr()

    def reconcile(self, *arguments: str) -> str:
        """`python -m pipelines.reconcile`; returns what it said."""
        self._capsys.readouterr()
        try:
            reconcile.run(
                read_arguments("reconcile", ["--definition", str(self.yaml), "--home", str(self.home), *arguments])
            )
        finally:
            self.said = self._capsys.readouterr().err
        return self.said

    @property
    def store(self) -> ViewStore:
        return open_store(f"sqlite:///{self.home}/views.db")

    def sql(self, *statements: str) -> None:
        """Tamper with the store."""
        with closing(sqlite3.connect(self.home / "views.db")) as connection:
            for statement in statements:
                changed = connection.execute(statement).rowcount
                assert changed > 0, statement
            connection.commit()

    def rows(self) -> dict[str, int]:
        """Rows of every table: a run that writes nothing changes none."""
        with closing(sqlite3.connect(self.home / "views.db")) as connection:
            names = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
            return {name: connection.execute(f"select count(*) from {name}").fetchone()[0] for name in names}

    def states(self) -> dict[tuple[str, int], tuple[int, bytes]]:
        """Every row of states, by key and tile."""
        with closing(sqlite3.connect(self.home / "views.db")) as connection:
            rows = connection.execute("select key, tile, events, states from batch_states").fetchall()
        return {(key, tile): (events, states) for key, tile, events, states in rows}

    def served_states(self) -> dict[tuple[str, int], tuple[int, bytes]]:
        """Every row that answers are made of."""
        query = "select key, tile, events, states from batch_states order by batch_run"
        with closing(sqlite3.connect(self.home / "views.db")) as connection:
            rows = connection.execute(query).fetchall()
        newest = {(key, tile): (events, states) for key, tile, events, states in rows}
        return {place: state for place, state in newest.items() if state[0]}

    def check(self, wanted: Sequence[Sale]) -> None:
        check_served(self.store, wanted)


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Bench:
    return Bench(tmp_path, capsys)


def journaled(bench: Bench, count: int = 24, generations: int = 4) -> list[Sale]:
    """A journal of several generations, one segment each, each with tiles of its own; all of it in batch."""
    wanted = items(0, count)
    size = count // generations
    payloads = [[sale.payload() for sale in wanted[at : at + size]] for at in range(0, count, size)]
    write_journal(bench.home / "journal", payloads)
    bench.backfill()
    return wanted


def key_of(sale: Sale) -> str:
    return f"key = '{sale.key}' and tile = {sale.tile}"


WRONG = "update batch_states set states = (select states from batch_states where {other}) where {place}"
LOST = "delete from batch_states where {place}"
ADDED = (
    "insert into batch_states select definition, '[\"nobody\"]', tile, batch_run, events, states, crc"
    " from batch_states where {place}"
)
COUNT = "update batch_states set events = events + 1 where {place}"
IDS = "update batch_ids set ids = substr(ids, 17) where tile = {tile}"


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        pytest.param(WRONG, "1 states repaired in 1 tiles: 1 wrong, 0 missing, 0 extra", id="a row of another key"),
        pytest.param(COUNT, "1 states repaired in 1 tiles: 1 wrong, 0 missing, 0 extra", id="another number of events"),
        pytest.param(LOST, "1 states repaired in 1 tiles: 0 wrong, 1 missing, 0 extra", id="a row lost"),
        pytest.param(ADDED, "1 states repaired in 1 tiles: 0 wrong, 0 missing, 1 extra", id="a row added"),
        pytest.param(IDS, "0 states repaired in 1 tiles: 0 wrong, 0 missing, 0 extra", id="ids lost"),
    ],
)
def test_what_was_tampered_with_is_repaired_once(bench: Bench, statement: str, said: str) -> None:
    wanted = journaled(bench)
    before = bench.rows()
    place, other = key_of(wanted[1]), key_of(wanted[2])
    bench.sql(statement.format(place=place, other=other, tile=wanted[1].tile))
    assert "dry run: nothing is written" in bench.reconcile("--dry-run")
    assert said.replace("repaired", "would be repaired") in bench.said
    assert said in bench.reconcile(), bench.said
    assert "1 tiles computed again from 1 of 4 segments" in bench.said
    bench.check(wanted)
    served = bench.store.publishing.served("sales")
    assert served is not None
    assert served.kind is PublicationKind.REPAIR
    (receipt,) = reconciliation_values(bench.store, "sales")
    assert receipt.repair == served.batch_run
    assert len(receipt_keys(bench.store, receipt.ordinal)) == int(said[0])
    after = bench.rows()
    assert after != before
    assert "nothing new: nothing is written" in bench.reconcile()
    assert bench.rows() == after


def plant(bench: Bench, places: Sequence[tuple[str, int]]) -> None:
    """37 wrong, 11 missing and 7 extra states."""
    here = "where key = ? and tile = ?"
    with closing(sqlite3.connect(bench.home / "views.db")) as connection:
        for key, tile in places[:37]:
            other = connection.execute("select states from batch_states where tile <> ? limit 1", (tile,)).fetchone()
            connection.execute(f"update batch_states set events = 5, states = ? {here}", (*other, key, tile))
        connection.executemany(f"delete from batch_states {here}", places[37:48])
        copy = "insert into batch_states select definition, '[\"planted\"]', tile, batch_run, events, states, crc from"
        connection.executemany(f"{copy} batch_states {here}", places[48:55])
        connection.commit()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with 100,000 states in batch, rows all of them: 50 keys in each of 2,000 tiles, 20 tiles a segment."""
    folder = tmp_path_factory.mktemp("large")
    text = sales.text()
    measures = text.index("measures:")
    (folder / "sales.yaml").write_text(text[:measures] + "measures:\n  sales: count\n  revenue: {sum: amount}\n")
    payloads = [
        [
            Sale(f"{tile}-{key}", START + tile * sales.TILE + key, f"shop {key}", 0.1 * key).payload()
            for tile in range(first, first + 20)
            for key in range(50)
        ]
        for first in range(0, 2_000, 20)
    ]
    write_journal(folder / "home" / "journal", payloads)
    flags = ["--definition", str(folder / "sales.yaml"), "--home", str(folder / "home")]
    backfill.run(read_arguments("backfill", [*flags, "--layer-threshold", "never"]))
    return folder


@pytest.mark.slow
def test_what_is_planted_among_100_000_states_is_found_and_nothing_else(
    large: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench(large, capsys, write=False)
    before = bench.states()
    assert len(before) == 100_000
    assert "nothing new" in bench.reconcile(), "no false ones"
    plant(bench, Random(7).sample(sorted(before), 55))
    tampered = bench.states()
    changed = {place for place in {*before, *tampered} if before.get(place) != tampered.get(place)}
    assert len(changed) == 55
    said = bench.reconcile()
    assert "55 states repaired" in said
    assert "37 wrong, 11 missing, 7 extra" in said
    tiles = {tile for _, tile in changed}
    segments = {(tile - START) // sales.TILE // 20 for tile in tiles}
    assert f"{len(tiles)} tiles computed again from {len(segments)} of 100 segments" in said
    assert len(segments) < 60, "the planted tiles are in nearly all segments: the test shows less than it should"
    receipt = reconciliation_values(bench.store, "sales")[0]
    keys = receipt_keys(bench.store, receipt.ordinal)
    assert {(key.key, key.tile) for key in keys} == changed
    assert all((key.before or (0,))[0] == tampered.get((key.key, key.tile), (0,))[0] for key in keys)
    after = bench.rows()
    assert "nothing new: nothing is written" in bench.reconcile()
    assert bench.rows() == after
    assert bench.served_states() == before


def test_files_are_read_again_in_pieces_that_hold_the_tile(bench: Bench) -> None:
    wanted = items(0, 20)
    for number, part in enumerate((wanted[:10], wanted[8:])):
        write_jsonl(bench.folder / f"part{number}.jsonl", part)
        bench.backfill("--files", str(bench.folder / "*.jsonl"))
    assert "nothing new" in bench.reconcile()
    bench.sql(LOST.format(place=key_of(wanted[1])))
    said = bench.reconcile()
    assert "1 tiles computed again from 1 of 2 pieces of files" in said
    assert "1 missing" in said
    bench.check(wanted)
    bench.sql(LOST.format(place=key_of(wanted[0])))
    write_jsonl(bench.folder / "part0.jsonl", items(0, 11))
    before = bench.rows()
    with pytest.raises(SourceFileError, match=r"part0\.jsonl: has changed since it was counted"):
        bench.reconcile()
    (bench.folder / "part0.jsonl").unlink()
    with pytest.raises(SourceFileError, match=r"part0\.jsonl: no such file"):
        bench.reconcile()
    assert bench.rows() == before


def test_after_a_repair_the_next_backfill_and_repair_go_on(bench: Bench) -> None:
    wanted = journaled(bench)
    bench.sql(IDS.format(tile=wanted[0].tile), LOST.format(place=key_of(wanted[0])))
    assert "1 states repaired" in bench.reconcile()
    more = [*items(0, 2), *items(30, 6)]
    write_jsonl(bench.folder / "more.jsonl", more)
    bench.backfill("--files", str(bench.folder / "more.jsonl"))
    bench.check([*wanted, *more])
    assert "nothing new" in bench.reconcile()
    bench.sql(COUNT.format(place=f"{key_of(wanted[4])} and events > 0"))
    assert "1 states repaired" in bench.reconcile()
    bench.check([*wanted, *more])
    bench.store.publishing.prune("sales", 1)
    assert "nothing new" in bench.reconcile(), "what pruning removes isn't missed"
    assert "nothing new" in bench.reconcile("--deep")
    bench.check([*wanted, *more])


def test_what_cannot_be_done_is_said_in_one_line_and_changes_nothing(bench: Bench) -> None:
    with pytest.raises(UserError, match=r"no view store at .*views\.db: nothing has run there yet"):
        bench.reconcile()
    wanted = journaled(bench)
    (bench.home / "journal").rename(bench.home / "elsewhere")
    assert "nothing new" in bench.reconcile(), "without suspects no journal is needed"
    bench.sql(LOST.format(place=key_of(wanted[0])))
    before = bench.rows()
    with pytest.raises(UserError, match=r"1 tiles must be computed again, and there is no journal at .*journal"):
        bench.reconcile()
    segment = next((bench.home / "elsewhere" / "lanes").rglob("*2.avro"))
    held = segment.read_bytes()
    segment.write_bytes(held[: len(held) // 2])
    with pytest.raises(SegmentError):
        bench.reconcile("--journal", str(bench.home / "elsewhere"))
    assert bench.rows() == before
    segment.write_bytes(held)
    bench.yaml.write_text(sales.text().replace("lateness: 10s", "lateness: 20s"))
    with pytest.raises(UserError, match=r"sales: definition changed: version \w+ is served, and this file is version"):
        bench.reconcile("--journal", str(bench.home / "elsewhere"))
    bench.yaml.write_text(sales.text())
    assert "1 missing" in bench.reconcile("--journal", str(bench.home / "elsewhere"))
    bench.check(wanted)


def test_nothing_published_is_said(bench: Bench) -> None:
    write_jsonl(bench.folder / "one.jsonl", items(0, 3))
    bench.backfill("--files", str(bench.folder / "one.jsonl"), "--no-publish")
    assert "nothing is published yet" in bench.reconcile()


def test_a_faster_publisher_wins(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = journaled(bench)
    bench.sql(LOST.format(place=key_of(wanted[0])))
    judging = reconcile._judge

    def interrupted(*arguments: Any) -> Any:
        judged = judging(*arguments)
        served = bench.store.publishing.served("sales")
        assert served is not None
        bench.store.publishing.publish("sales", served.version, str(served.batch_run))
        return judged

    monkeypatch.setattr(reconcile, "_judge", interrupted)
    before = bench.rows()
    with pytest.raises(PublishRefusedError, match="publication 2 is served by now, publication 1 was looked at"):
        bench.reconcile()
    monkeypatch.undo()
    assert bench.rows() == {**before, "publications": 2}
    assert "receipt 1" in bench.reconcile()


def test_values_that_differ_by_logic_end_with_an_error_and_stay(bench: Bench) -> None:
    """The digests are made to fit the wrong row, as if batch had computed it."""
    wanted = journaled(bench)
    place, other = key_of(wanted[1]), key_of(wanted[2])
    right = bench.served_states()
    bench.sql(WRONG.format(place=place, other=other))
    key, tile = wanted[1].key, wanted[1].tile
    change = row_hash(key, *bench.states()[key, tile]) - row_hash(key, *right[key, tile])
    query = sa.select(batch_state_digests).where(batch_state_digests.c.tile == tile)
    with bench.store.database.write() as connection:
        digest = as_bytes(from_bytes(connection.execute(query).one().digest) + change)
        connection.execute(batch_state_digests.update().where(batch_state_digests.c.tile == tile).values(digest=digest))
    assert "nothing new" in bench.reconcile(), "without live only the journal can tell"
    before = bench.rows()
    with pytest.raises(ParityError, match=r"sales: LOGIC: 1 states differ although the same events were counted"):
        bench.reconcile("--deep")
    assert bench.rows() == before
    assert ParityError.exit_code == 1


@pytest.mark.xdist_group("processes")
def test_killed_before_the_receipt_is_committed_nothing_is_half_done(bench: Bench) -> None:
    wanted = journaled(bench)
    bench.sql(LOST.format(place=key_of(wanted[0])))
    before = bench.rows()
    command = [sys.executable, "-m", "tandem", "reconcile", str(bench.yaml), "--home", str(bench.home)]
    killed = subprocess.run(
        command, env={**os.environ, "TANDEM_FAILPOINT": "receipt"}, capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert bench.rows() == before
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "receipt 1: batch run r-" in done.stdout
    bench.check(wanted)


def test_on_postgresql_too(bench: Bench) -> None:
    pytest.importorskip("psycopg", reason="psycopg isn't installed")
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(postgres_server())
        except LookupError as missing:
            pytest.skip(str(missing))
        wanted, where = items(0, 9), ("--store", server.url)
        write_jsonl(bench.folder / "one.jsonl", wanted)
        bench.backfill("--files", str(bench.folder / "one.jsonl"), *where)
        store = open_store(server.url)
        with store.database.write() as connection:
            connection.execute(sa.text("delete from batch_states where tile = :tile"), {"tile": wanted[0].tile})
        said = bench.reconcile(*where)
        assert "0 wrong, 3 missing, 0 extra" in said
        assert len(receipt_keys(store, reconciliation_values(store, "sales")[0].ordinal)) == 3
        found = {(row.key, row.start): row.results for row in all_answers(store, COMPILED)}
        assert differences(found, expected(wanted)) == []
        assert "nothing new" in bench.reconcile(*where)
        store.close()
