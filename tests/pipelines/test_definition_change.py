"""A changed definition beside the one that is served, with real processes on Prism: built, followed, compared, promoted
while messages keep coming, rolled back, dropped.
"""

from __future__ import annotations

import io
import json
import math
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest
from samples import sales
from samples.sales import SECOND, START, Sale
from typer.testing import CliRunner, Result

from tandem.app import app
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import load
from tandem.views.answers.all_steps import all_answers
from tandem.views.store import ViewStore

pytestmark = pytest.mark.xdist_group("processes")

FOLLOW = ("--follow", "--no-screen", "--idle-timeout", "2s")


AT = {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}}
WRITER: dict[str, Any] = {
    "type": "record",
    "name": "Sale",
    "fields": [
        AT,
        {"name": "colour", "type": "string"},
        {"name": "amount", "type": "float"},
        {"name": "kind", "type": "string"},
        {"name": "shop", "type": "string"},
        {"name": "id", "type": "string"},
    ],
}
"""An older revision of the sales' schema: without units, with a narrower amount, and with a field that is gone."""


def text() -> str:
    """The sales' definition, which knows the older revision."""
    return sales.text().replace("  format: json\n", f"  format: json\n  revisions: {{r1: {json.dumps(WRITER)}}}\n")


def message(sale: Sale) -> tuple[bytes, dict[str, str]]:
    """A sale without units is written with the older revision, in binary."""
    if sale.units is not None:
        return sale.payload(), {}
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(WRITER), {**sale.record(), "colour": "red"})
    return out.getvalue(), {"googclient_schemarevisionid": "r1", "googclient_schemaencoding": "BINARY"}


class Source(threading.Thread):
    """Publishes sales all the time, ten at once, in the order of their times, and messages that nobody can read."""

    def __init__(self, stage: Any) -> None:
        super().__init__(daemon=True)
        self.sent: list[Sale] = []
        self._stage, self._stopped = stage, threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(0.2):
            numbers = range(len(self.sent), len(self.sent) + 10)
            units = {n: n % 5 or None for n in numbers}
            fresh = [Sale(f"s{n}", START + n * SECOND // 20, "ab"[n % 2], n % 7 + 0.5, units[n]) for n in numbers]
            unknown = (fresh[0].payload(), {"googclient_schemarevisionid": "r2"})
            for data, attributes in (*map(message, fresh), unknown):
                self._stage.publisher.publish(self._stage.topic, data, **attributes).result(timeout=60)
            self.sent += fresh

    def stop(self) -> None:
        self._stopped.set()
        self.join()


class Watcher(threading.Thread):
    """Asks for all answers, of whatever version is served, all the time: each must fit its own version."""

    def __init__(self, home: Path, files: dict[str, Path]) -> None:
        super().__init__(daemon=True)
        self.wrong: list[str] = []
        self.versions: list[str] = []
        self.total = 0
        self._store = ViewStore(f"sqlite:///{home}/views.db")
        self._stopped = threading.Event()
        self._compiled = {}
        for name, path in files.items():
            compiled = compile_definition(load(path))
            self._compiled[compiled.version] = (name, compiled, {"old": 1, "new": 2}[name])

    def run(self) -> None:
        while not self._stopped.wait(0.2):
            self.look()

    def look(self) -> None:
        served = self._store.publishing.served("sales")
        if served is None:
            return
        name, compiled, factor = self._compiled[served.version]
        rows = []
        try:
            rows = list(all_answers(self._store, compiled))
        except Exception as error:  # the pointer moved between the two questions: ask again
            if "is served, this was asked with version" in str(error):
                return
            self.wrong.append(repr(error))
        if self.versions[-1:] != [name]:
            self.versions.append(name)
        total = sum(row.events for row in rows)
        if total < self.total:
            self.wrong.append(f"{name}: {self.total} events, then {total} ({served})")
        self.total = max(total, self.total)
        for row in rows:
            revenue = row.results["mean"] * row.results["sales"] * factor
            if not math.isclose(row.results["revenue"], revenue):
                self.wrong.append(f"{name}: {row}")

    def stop(self) -> None:
        self._stopped.set()
        if self.ident is not None:
            self.join()
            self.look()


@pytest.fixture
def threads() -> Iterator[list[Any]]:
    """Threads that are stopped at the end of the test at the latest."""
    started: list[Any] = []
    yield started
    for thread in started:
        thread.stop()


def run(stage: Any, *arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"TANDEM_HOME": str(stage.home), "COLUMNS": "200"})


def refused(stage: Any, *arguments: str) -> str:
    result = run(stage, *arguments)
    assert result.exit_code in (1, 2), (result.output, result.exception)
    (line,) = [line for line in result.output.splitlines() if line.startswith("error: ")]
    assert len(result.output.strip().splitlines()) == 1, result.output
    return line


def check(stage: Any, path: Path, sent: list[Sale], factor: int) -> None:
    """The served answers are those of a naive computation over all that was published."""
    view = stage.view(path)
    wanted = sales.expected(sent)
    for row in wanted.values():
        row["revenue"] *= factor
    assert sales.differences(view.results(), wanted) == []


def test_a_new_version_is_built_followed_promoted_rolled_back_and_dropped(
    stage: Any, tmp_path: Path, patiently: Callable[..., Any], threads: list[Any]
) -> None:
    files = {"old": tmp_path / "old.yaml", "new": tmp_path / "new.yaml"}
    files["old"].write_text(text())
    doubled = text().replace("revenue: {sum: amount}", "revenue: {sum: doubled}")
    files["new"].write_text(doubled.replace("derive:\n", "derive:\n  doubled: amount * 2\n"))
    new = str(files["new"])
    writer = stage.live([files["old"]], "--lanes", "2", "--generation-interval", "2s", "--idle-timeout", "2s")
    source, watcher = Source(stage), Watcher(stage.home, files)
    threads += [source, watcher]
    source.start()
    old_view, new_view = stage.view(files["old"]), stage.view(files["new"])
    patiently("the old version is served", lambda: old_view.served is not None)
    watcher.start()
    patiently("the old version has events", lambda: sum(old_view.counts().values()) > 20)

    assert "nothing was built of version" in refused(stage, "promote", new)
    assert "nothing was built of version" in refused(stage, "diff", str(files["old"]), new)
    assert stage.start("backfill", "--definition", new, "--no-publish", "--max-bad", "50%").end() == 0
    assert "without a live run there isn't segment" in refused(stage, "promote", new)
    follower = stage.start("live", "--definition", new, *FOLLOW)
    patiently("the follower is written down", lambda: "follows as live run" in follower.said())

    def compared() -> Any:
        result = run(stage, "diff", str(files["old"]), new, "--json")
        found = json.loads(result.output)
        return found if found["tiles"]["different"] > 1 and not found["uncovered"] else None

    found = patiently("both versions hold the same generations", compared)
    assert [change["field"] for change in found["changes"]] == ["derive.doubled", "measures.revenue"]
    assert (found["tiles"]["only_old"], found["tiles"]["only_new"]) == (0, 0)
    assert {name for name, of in found["measures"].items() if of["different"]} == {"revenue"}
    assert all(math.isclose(each["relative"], 1) for each in found["measures"]["revenue"]["largest"])

    promoted = run(stage, "promote", new, "--wait", "120s", "--note", "doubled")
    assert promoted.exit_code == 0, (promoted.output, follower.said())
    before = len(source.sent)
    patiently("more is published", lambda: len(source.sent) > before + 50)

    writer.kill()
    writer = stage.live([files["old"]], "--generation-interval", "2s", "--idle-timeout", "2s")
    source.stop()
    patiently("all is in the new version", lambda: sum(new_view.counts().values()) == len(source.sent))
    check(stage, files["new"], source.sent, 2)
    assert new_view.unbalanced() == {}

    first = old_view.store.publishing.publications("sales")[-1].ordinal
    patiently("the old version has all", lambda: run(stage, "roll-back", "sales", str(first)).exit_code == 0)
    watcher.stop()
    assert watcher.wrong == []
    assert watcher.versions == ["old", "new", "old"]
    check(stage, files["old"], source.sent, 1)
    assert "and can't be dropped" in refused(stage, "drop", str(files["old"]))
    follower.process.send_signal(signal.SIGTERM)
    assert follower.end() == 0, follower.said()
    dropped = run(stage, "drop", new)
    assert dropped.exit_code == 0, dropped.output
    assert "1 live runs, 1 batch runs" in dropped.output
    assert "nothing was built of version" in refused(stage, "promote", new)
    writer.process.send_signal(signal.SIGTERM)
    assert writer.end() == 0, writer.said()
