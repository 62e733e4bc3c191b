"""Dead letters through whole pipelines again: messages on Prism, records of files by a backfill."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from google.pubsub_v1.types import PubsubMessage
from typer.testing import CliRunner, Result

from tandem.app import app
from tandem.formats.revisions import REVISION_ATTRIBUTE
from tandem.schemas.certificate import Status
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import load
from tandem.views.answers.all_steps import all_answers
from tandem.views.answers.point import answer
from tandem.views.store import ViewStore

pytestmark = pytest.mark.xdist_group("processes")

HOUR = 3_600_000_000
DEFINITION = """
name: sales
source:
  schema:
    type: record
    name: Sale
    fields:
      - {name: id, type: string}
      - {name: at, type: {type: long, logicalType: timestamp-micros}}
      - {name: shop, type: string}
      - {name: amount, type: long}
  format: json
  event_id: id
  event_time: at
  max_ahead: MAX_AHEAD
  revisions: revisions
key: [shop]
tile: 1h
lateness: 1h
DEDUPLICATE
measures: {sales: count, total: {sum: amount}}
"""
OTHER = {
    "type": "record",
    "name": "Sale",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "shop", "type": "string"},
        {"name": "amount", "type": "long"},
        {"name": "till", "type": ["null", "string"], "default": None},
    ],
}


def definition(folder: Path, max_ahead: str = "1d", deduplicate: bool = True) -> Path:
    """A definition that knows no revision but its own."""
    (folder / "revisions").mkdir()
    (folder / "revisions" / "00000001.avsc").write_text(json.dumps(OTHER), encoding="utf-8")
    path = folder / "sales.yaml"
    text = DEFINITION.replace("MAX_AHEAD", max_ahead)
    path.write_text(text.replace("DEDUPLICATE", "" if deduplicate else "deduplicate: false"), encoding="utf-8")
    return path


def sale(number: int, at: int) -> bytes:
    return json.dumps({"id": f"s{number}", "at": at, "shop": "north", "amount": number}).encode()


def tandem(home: Path, *arguments: str, emulator: str = "127.0.0.1:1") -> Result:
    environment = {"TANDEM_HOME": str(home), "PUBSUB_EMULATOR_HOST": emulator}
    return CliRunner().invoke(app, list(arguments), env=environment)


def letters(home: Path) -> dict[str, tuple[str, int]]:
    """Payload's text -> (status, tries)."""
    found = json.loads(tandem(home, "deadletters", "list", "sales", "--json").stdout)["letters"]
    shown = [json.loads(tandem(home, "deadletters", "show", "sales", x["letter"], "--json").stdout) for x in found]
    return {one["payload_text"]: (one["status"], one["tries"]) for one in shown}


def totals(home: Path, file: Path) -> tuple[int, int]:
    """(events, sum of amounts) over everything."""
    store = ViewStore(str(home / "views.db"), create=False)
    rows = list(all_answers(store, compile_definition(load(file))))
    store.close()
    return sum(row.events for row in rows), sum(row.results["total"] for row in rows)


def status_of(home: Path, file: Path, at: int) -> tuple[Status, int]:
    store = ViewStore(str(home / "views.db"), create=False)
    certificate = answer(store, compile_definition(load(file)), '["north"]', at - at % HOUR, at - at % HOUR + HOUR)
    store.close()
    return certificate.certificate.status, certificate.certificate.dead_letters


@pytest.mark.parametrize(
    "deduplicate",
    [pytest.param(True, id="copies-removed"), pytest.param(False, id="copies-count", marks=pytest.mark.slow)],
)
def test_messages_of_a_revision_that_is_known_later_count_once(deduplicate: bool, stage: Any, tmp_path: Path) -> None:
    file, at = definition(tmp_path, deduplicate=deduplicate), time.time_ns() // 1000 - 2 * HOUR
    flags = ("--until-idle", "11s", "--idle-timeout", "2s")
    new = {REVISION_ATTRIBUTE: "0badcafe"}
    messages = [PubsubMessage(data=sale(1, at)), PubsubMessage(data=sale(2, at), attributes=new)]
    stage.publisher.api.publish(topic=stage.topic, messages=[*messages, PubsubMessage(data=b"poison")])
    assert stage.live([file], *flags).end() == 0
    assert letters(stage.home) == {sale(2, at).decode(): ("open", 1), "poison": ("open", 1)}
    # The originals are in batch, which can't read them either: only their replays can count.
    assert tandem(stage.home, "backfill", "--definition", str(file)).exit_code == 0
    (tmp_path / "revisions" / "0badcafe.avsc").write_text(json.dumps(OTHER), encoding="utf-8")
    for published in ("published 2 dead letters", "nothing to replay"):
        sent = tandem(stage.home, "deadletters", "replay", str(file), emulator=stage.emulator)
        assert (sent.exit_code, published in sent.stdout) == (0, True), sent.stderr
    assert stage.live([file], *flags).end() == 0
    assert letters(stage.home) == {sale(2, at).decode(): ("replayed", 2), "poison": ("open", 2)}
    assert totals(stage.home, file) == (2, 3)
    assert tandem(stage.home, "backfill", "--definition", str(file)).exit_code == 0
    assert letters(stage.home) == {sale(2, at).decode(): ("replayed", 2), "poison": ("open", 2)}
    assert totals(stage.home, file) == (2, 3)
    assert status_of(stage.home, file, at) == (Status.PARTIAL, 1)
    assert stage.view(file).unbalanced() == {}
    assert tandem(stage.home, "deadletters", "drop", "sales", "--note", "noise").exit_code == 0
    assert status_of(stage.home, file, at)[1] == 0


@pytest.fixture
def filed(tmp_path: Path) -> tuple[Path, Path, int]:
    """(home, definition, time): JSON Lines and CSV taken in, one bad record in each, and one that is too early."""
    home, file, now = tmp_path / "home", definition(tmp_path, "2s"), time.time_ns() // 1000
    soon = now + 8_000_000
    lines = [sale(1, now - HOUR), b"{bad", sale(2, soon)]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    (tmp_path / "b.csv").write_bytes(b"id,at,shop,amount\ns3,%d,north,3\ns4,now,north,4\n" % soon)
    files = [text for name in ("a.jsonl", "b.csv") for text in ("--files", str(tmp_path / name))]
    done = tandem(home, "backfill", "--definition", str(file), *files, "--max-bad", "4")
    assert done.exit_code == 0, done.stderr
    return home, file, soon


def test_records_of_files_are_taken_in_once_each(filed: tuple[Path, Path, int]) -> None:
    home, file, soon = filed
    early = (sale(2, soon).decode(), f"s3,{soon},north,3")
    assert set(letters(home).values()) == {("open", 1)}
    assert (totals(home, file), len(letters(home))) == ((1, 1), 4)
    time.sleep(max(0.0, soon / 1e6 - 1.5 - time.time()))
    planned = tandem(home, "deadletters", "replay", "sales", "--dry-run")
    assert "2 of 4 dead letters can be read now" in planned.stderr
    done = tandem(home, "deadletters", "replay", str(file))
    assert done.exit_code == 0, done.stderr
    assert done.stdout.endswith("replayed 4 dead letters of files: 2 counted, filtered or duplicates, 2 failed again\n")
    failed = {payload: state for payload, state in letters(home).items() if payload not in early}
    assert set(failed.values()) == {("open", 2)}
    assert [letters(home)[payload] for payload in early] == [("replayed", 2)] * 2
    assert totals(home, file) == (3, 6)
    assert tandem(home, "deadletters", "replay", "sales", "--stage", "validate").stdout == "sales: nothing to replay\n"
    assert totals(home, file) == (3, 6)


def test_a_backfill_that_is_refused_changes_nothing(filed: tuple[Path, Path, int], monkeypatch: Any) -> None:
    from tandem.schemas.errors import PublishRefusedError

    def refuse(*arguments: object, **options: object) -> None:
        raise PublishRefusedError("sales: not now")

    home, file, _ = filed
    before = letters(home), totals(home, file)
    with monkeypatch.context() as patch:
        patch.setattr("tandem.views.publishing.pointer.check", refuse)
        shown = tandem(home, "deadletters", "replay", "sales", "--stage", "decode")
    assert (shown.exit_code, shown.stderr.splitlines()[-1]) == (1, "error: sales: not now")
    assert (letters(home), totals(home, file)) == before
    assert [path.name for path in (home / "replays").rglob("*") if path.is_file()] == ["lock"]


@pytest.mark.parametrize("published", [True, False], ids=["after-its-backfill", "before-its-backfill"])
def test_a_replay_of_files_that_died_goes_on(published: bool, filed: tuple[Path, Path, int], monkeypatch: Any) -> None:
    home, _, _ = filed
    with monkeypatch.context() as patch:
        place = "settle_files" if published else "_backfill"
        patch.setattr(f"tandem.pipelines.bounded.replay_files.{place}", _die)
        died = tandem(home, "deadletters", "replay", "sales", "--reason", "JSON")
        assert (died.exit_code, "MemoryError" in died.stderr) == (1, True), died.stderr
    assert letters(home)["{bad"] == ("in flight", 1)
    assert tandem(home, "deadletters", "replay", "sales", "--reason", "JSON").exit_code == 0
    assert letters(home)["{bad"] == ("open", 3 if published else 2)
    assert len(letters(home)) == 4


def _die(*arguments: object) -> None:
    raise MemoryError
