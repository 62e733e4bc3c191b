"""One real live run on Prism over the embedded Pub/Sub: two definitions, two lanes, late events; then batch."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from processes.emulated import make, publish
from samples import sales
from samples.sales import LATENESS, OVERFLOWS, SECOND, START, TILE, Sale, differences, expected

from tandem.emulator.server import EmbeddedPubSub
from tandem.journal.index import JournalIndex
from tandem.journal.storage.blobs import LocalBlobs
from tandem.journal.storage.segments import load_segment
from tandem.pipelines import backfill, live
from tandem.runners.options.reading import read_arguments
from tandem.schemas.certificate import Status
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.views.answers.all_steps import all_answers
from tandem.views.answers.point import answer
from tandem.views.storage.opening import open_store
from tandem.views.store import ViewStore

pytestmark = pytest.mark.xdist_group("processes")

HOUR = 3600 * SECOND
TOPIC, SUBSCRIPTION = "projects/p/topics/sales", "projects/p/subscriptions/sales"
BLOCK = 10
"""Messages of one pull, so of one segment."""


def payloads() -> list[bytes]:
    """Blocks an hour apart by turns, so that lanes are too; with copies, conflicts, filtered and dead ones."""
    found: list[bytes] = []
    for block in range(12):
        base = START + (HOUR if block % 3 == 1 else 0) + block * SECOND
        shops = ["a", "b", None]
        mine = [Sale(f"s{block}-{n}", base + n * TILE // 3, shops[n % 3], 0.1 * n, n) for n in range(BLOCK - 4)]
        mine.append(Sale(f"x{block}", base, kind="skip"))
        mine.append(Sale(f"y{block}", base, units=OVERFLOWS))
        found += [sale.payload() for sale in mine]
        found += [found[block * 7 % len(found)], b"garbage"]
    return found


class Watcher(threading.Thread):
    """Asks for all answers all the time; no number of events may fall."""

    def __init__(self, store: ViewStore, compiled: CompiledDefinition) -> None:
        super().__init__(daemon=True)
        self._store, self._compiled, self._stop_now = store, compiled, threading.Event()
        self.highest: dict[tuple[str, int], int] = {}
        self.falls: list[str] = []
        self.looks = 0

    def run(self) -> None:
        while not self._stop_now.wait(0.1):
            self.look()

    def look(self) -> None:
        found = {(row.key, row.start): row.events for row in all_answers(self._store, self._compiled)}
        self.looks += 1
        for place, events in self.highest.items():
            if found.get(place, 0) < events:
                self.falls.append(f"{place}: {events}, then {found.get(place, 0)}")
        self.highest |= found

    def __enter__(self) -> Watcher:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop_now.set()
        self.join()
        self.look()


class Publisher(threading.Thread):
    """Publishes the second half once the generation that holds the first is sealed."""

    def __init__(self, home: Path) -> None:
        super().__init__(daemon=True)
        self._journal, self.stop = LocalBlobs(str(home / "journal")), threading.Event()

    def run(self) -> None:
        messages = payloads()
        half = len(messages) // 2
        publish(TOPIC, messages[:half])
        index = JournalIndex(self._journal)
        while not self.stop.wait(0.1):
            index.refresh()
            refs = index.segments()
            if sum(ref.count for ref in refs) >= half and max(ref.generation for ref in refs) <= index.sealed:
                break
        publish(TOPIC, messages[half:])


def journaled(home: Path, version: str) -> Iterator[tuple[Sale, int, bool]]:
    """Every event in the journal, its generation, and whether it is late by the watermark stored before it."""
    blobs = LocalBlobs(str(home / "journal"))
    index = JournalIndex(blobs)
    index.refresh()
    for ref in index.segments():
        segment = load_segment(blobs, ref.path)
        watermark = segment.header.watermarks.get(version)
        for data in segment.messages.column("data").to_pylist():
            sale = sales.read_sale(data)
            if sale is not None and sale.fate == "event":
                late = watermark is not None and sale.tile + TILE + LATENESS <= watermark
                yield sale, ref.generation, late


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with EmbeddedPubSub() as server:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server.address)
        make(TOPIC, SUBSCRIPTION)
        yield


def test_live_and_then_batch_give_the_oracles_answers(
    tmp_path: Path, emulated: None, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    first, second = sales.compiled(), sales.compiled("second", deduplicate=False)
    (tmp_path / "sales.yaml").write_text(sales.text())
    (tmp_path / "second.yaml").write_text(sales.text("second", deduplicate=False))
    home.mkdir()
    store = open_store(f"sqlite:///{home}/views.db")
    named = [text for name in ("sales", "second") for text in ("--definition", str(tmp_path / f"{name}.yaml"))]
    where = ["--home", str(home), "--subscription", SUBSCRIPTION, "--lanes", "2", "--shards", "4", "--no-screen"]
    where += ["--job_server_timeout", "5"]  # for requests: the run lasts longer
    pace = ["--max-messages", str(BLOCK), "--until-idle", "11s", "--generation-interval", "2s"]
    publisher = Publisher(home)
    with Watcher(store, first) as watcher:
        publisher.start()
        try:
            live.run(read_arguments("live", [*named, *where, *pace]))
        finally:
            publisher.stop.set()
            publisher.join()
        check_live(store, home, first, deduplicate=True)
        check_live(store, home, second, deduplicate=False)
        before = sum(watcher.highest.values())
        backfill.run(read_arguments("backfill", [*named[:2], "--home", str(home)]))
    assert watcher.falls == []
    assert watcher.looks > 3
    everything = [sale for sale, _, _ in journaled(home, first.definition.source.version)]
    assert sum(watcher.highest.values()) == len(set(everything)) > before, "the late events were added"
    assert differences(answers(store, first), expected(everything)) == []
    found = answer(store, first, '["a"]', START, START + TILE)
    assert found.certificate.status is Status.PARTIAL, "there are dead letters"
    assert (found.certificate.live_events, found.certificate.pending_late) == ((), 0)
    assert "published, boundary" in capsys.readouterr().err


def answers(store: ViewStore, compiled: CompiledDefinition) -> dict[tuple[str, int], dict[str, Any]]:
    return {(row.key, row.start): row.results for row in all_answers(store, compiled)}


def check_live(store: ViewStore, home: Path, compiled: CompiledDefinition, *, deduplicate: bool) -> None:
    """The served live run has what was in time, its ledger what wasn't, and nothing is unaccounted for."""
    served = store.publishing.served(compiled.definition.name)
    assert served is not None
    assert served.live_run is not None
    residues = store.residues.of_live_run(compiled.version, served.live_run)
    assert residues
    assert set(residues.values()) == {0}, residues
    assert set(store.residues.of_rows(compiled.version, served.live_run).values()) == {0}
    copies = list(journaled(home, compiled.definition.source.version))
    on_time, late = (
        [sale for sale, _, is_late in copies if not is_late],
        [sale for sale, _, is_late in copies if is_late],
    )
    assert late, "nothing was late: the test shows less than it should"
    assert len({generation for _, generation, _ in copies}) > 1
    found = answers(store, compiled)
    if deduplicate:
        assert differences(found, expected(on_time)) == []
    else:
        assert sum(row["sales"] for row in found.values()) == len(on_time)
    tiles = {sale.tile for sale in late}
    ask = partial(answer, store, compiled)
    ledger = {tile: ask('["a"]', tile, tile + TILE).certificate.pending_late for tile in tiles}
    assert ledger == {tile: sum(sale.tile == tile for sale in late) for tile in tiles}
