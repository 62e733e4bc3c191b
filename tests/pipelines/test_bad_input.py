"""Guarantee 5: bad input never stops a pipeline, never vanishes, never ends the process; wrong use is one line."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tenacity import wait_none

from tandem.app import main
from tandem.formats.dead_letters.files import StoredLetter, decode
from tandem.journal.storage.blobs import LocalBlobs
from tandem.journal.storage.layout import segment_path
from tandem.journal.storage.segments import load_segment
from tandem.schemas.certificate import Status
from tandem.schemas.definition.loading import load
from tandem.transforms.sinks import topics as publishing
from tandem.views.answers.point import answer

pytestmark = pytest.mark.xdist_group("processes")

SECOND = 1_000_000
HOUR = 3600 * SECOND
AT = 1_735_689_600 * SECOND
YEAR_1900, YEAR_2100 = -2_208_988_800 * SECOND, 4_102_444_800 * SECOND
TEN_MEGABYTES = 9_990_000
"""About the most that Pub/Sub takes: 10 MB with the request around it."""

SALE = {
    "type": "record",
    "name": "Sale",
    "fields": [
        {"name": "id", "type": ["null", "string"], "default": None},
        {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}], "default": None},
        {"name": "shop", "type": "string"},
        {"name": "amount", "type": "double"},
    ],
}
DEFINITION = """
name: {name}
source: {{schema: sale.avsc, format: {format}, event_id: id, event_time: at, out_of_orderness: 1h}}
key: [shop]
tile: 1h
lateness: 1h
measures: {{sales: count, total: {{sum: amount}}, least: {{min: amount}}, most: {{max: amount}}}}
"""


def sale(number: int, **changes: Any) -> dict[str, Any]:
    """One good record."""
    return {"id": f"sale-{number}", "at": AT + number * SECOND, "shop": "north", "amount": number / 4} | changes


def as_json(row: dict[str, Any]) -> bytes:
    return json.dumps(row).encode()


def as_avro(row: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(SALE), {**row, "at": row["at"]})
    return out.getvalue()


def text(number: int, **raw: str) -> bytes:
    """A good JSON message but for these fields, whose JSON is given."""
    fields = {name: json.dumps(value) for name, value in sale(number).items()} | raw
    return ("{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}").encode()


@dataclass(frozen=True)
class Message:
    """What is published, who can read it ('json', 'avro' or ''), and a part of the reason why others can't."""

    data: bytes
    readable: str = ""
    reason: str = ""


JSON_MESSAGES = {
    "good": Message(as_json(sale(1)), "json"),
    "good-copy": Message(as_json(sale(1)), "json"),
    "year-1900": Message(as_json(sale(2, at=YEAR_1900)), "json"),
    "unknown-field-of-10-mb": Message(text(3, note='"' + "n" * (TEN_MEGABYTES - 200) + '"'), "json"),
    "largest-double": Message(as_json(sale(4, shop="max", amount=1.7e308)), "json"),
    "largest-double-again": Message(as_json(sale(5, shop="max", amount=1.7e308)), "json"),
    "not-json": Message(b"click!", "", "not JSON"),
    "half-json": Message(as_json(sale(6))[:-5], "", "not JSON"),
    "not-utf-8": Message(b'{"id":"\xff\xfe"}', "", "not UTF-8"),
    "white-space": Message(b"  \n", "", "not JSON"),
    "null": Message(b"null", "", "not a record"),
    "array": Message(b"[1]", "", "not a record"),
    "other-schema": Message(b'{"user":7}', "", "not a record"),
    "nothing-in-it": Message(b"{}", "", "not a record"),
    "wrong-type": Message(as_json(sale(7, amount="free")), "", "not a record"),
    "id-null": Message(as_json(sale(8, id=None)), "", "'id' is null"),
    "id-empty": Message(as_json(sale(9, id="")), "", "'id' is empty"),
    "time-null": Message(as_json(sale(10, at=None)), "", "'at' is null"),
    "time-missing": Message(b'{"id":"a","shop":"b","amount":1}', "", "'at' is null"),
    "year-2100": Message(as_json(sale(11, at=YEAR_2100)), "", "ahead"),
    "year-10000": Message(as_json(sale(12, at=2**62)), "", "outside the years"),
    "time-of-30-digits": Message(text(13, at="9" * 30), "", ""),
    "number-of-5000-digits": Message(text(14, amount="9" * 5000), "", ""),
    "infinite": Message(text(15, amount="1e999"), "", ""),
    "nan": Message(text(16, amount="NaN"), "", "not JSON"),
    "nested-100000-deep": Message(text(17, note="[" * 100_000 + "]" * 100_000), "", "nested"),
    "10-mb-of-nothing": Message(b"\0" * TEN_MEGABYTES, "", "not JSON"),
}
AVRO_MESSAGES = {
    "good": Message(as_avro(sale(1)), "avro"),
    "good-copy": Message(as_avro(sale(1)), "avro"),
    "year-1900": Message(as_avro(sale(2, at=YEAR_1900)), "avro"),
    "nan": Message(as_avro(sale(3, shop="nan", amount=math.nan)), "avro"),
    "beside-nan": Message(as_avro(sale(4, shop="nan", amount=2.0)), "avro"),
    "infinity": Message(as_avro(sale(5, shop="inf", amount=math.inf)), "avro"),
    "beside-infinity": Message(as_avro(sale(6, shop="inf", amount=2.0)), "avro"),
    "smallest-double": Message(as_avro(sale(7, shop="least", amount=5e-324)), "avro"),
    "cut-short": Message(as_avro(sale(8))[:-1], "", ""),
    "too-long": Message(as_avro(sale(9)) + b"\0", "", ""),
    "wrong-branch": Message(b"\x10" + as_avro(sale(10))[1:], "", ""),
    "length-of-2-gb": Message(b"\x02\xfe\xff\xff\xff\x0f", "", ""),
    "negative-length": Message(b"\x02\x01", "", ""),
    "endless-number": Message(b"\xff" * 40, "", ""),
    "id-null": Message(as_avro(sale(11, id=None)), "", "'id' is null"),
    "id-empty": Message(as_avro(sale(12, id="")), "", "'id' is empty"),
    "time-null": Message(as_avro(sale(13, at=None)), "", "'at' is null"),
    "year-2100": Message(as_avro(sale(14, at=YEAR_2100)), "", "ahead"),
}
GOOD = {"json": [sale(number) for number in range(100, 300)], "avro": [sale(number) for number in range(100, 250)]}


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    said: str
    """On standard error."""


Command = Callable[..., Ended]


@pytest.fixture
def tandem(stage: Any, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a `tandem` command in this process, on the stage."""

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["tandem", *arguments])
        monkeypatch.setenv("TANDEM_HOME", str(stage.home))
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", stage.emulator)
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return Ended(code if isinstance(code, int) else int(code is not None), capfd.readouterr().err)

    return run


@pytest.fixture
def definitions(tmp_path: Path) -> dict[str, Path]:
    """The same definition over JSON and over Avro messages."""
    (tmp_path / "sale.avsc").write_text(json.dumps(SALE))
    paths = {}
    for kind in ("json", "avro"):
        paths[kind] = tmp_path / f"{kind}.yaml"
        paths[kind].write_text(DEFINITION.format(name=f"sales_{kind}", format=kind))
    return paths


def refused(ended: Ended, *parts: str) -> None:
    """Exit code 2, and one line that says what is wrong."""
    assert "Traceback" not in ended.said
    # On a busy machine the first line of progress comes before it.
    lines = [line for line in ended.said.splitlines() if "% of " not in line]
    assert [ended.code, len(lines)] == [2, 1], ended
    assert lines[0].startswith("error: ")
    for part in parts:
        assert part in lines[0]


def letters_of(stage: Any, definition: Path) -> list[StoredLetter]:
    """All dead letters that a definition has files of."""
    folder = stage.home / "deadletters" / load(definition).version
    return [letter for path in sorted(folder.rglob("*.avro")) for letter in decode(path.read_bytes(), str(path))]


def test_bad_messages_become_dead_letters_and_all_else_is_counted(
    stage: Any, definitions: dict[str, Path], tandem: Command
) -> None:
    special = {f"json {n}": m for n, m in JSON_MESSAGES.items()} | {f"avro {n}": m for n, m in AVRO_MESSAGES.items()}
    plain = [Message(as_json(row), "json") for row in GOOD["json"]] + [
        Message(as_avro(r), "avro") for r in GOOD["avro"]
    ]
    empty = stage.publisher.publish(stage.topic, b"", origin="till 3")
    stage.publish([message.data for message in (*plain[::2], *special.values(), *plain[1::2])])
    assert empty.result()
    live = stage.live(list(definitions.values()), "--generation-interval", "2s", "--until-idle", "11s")
    assert live.end() == 0, live.said()
    assert "Traceback" not in live.said()

    for kind, definition in definitions.items():
        view = stage.view(definition)
        expected = {n: m for n, m in special.items() if m.readable != kind}
        expected |= {f"plain {at}": message for at, message in enumerate(plain) if message.readable != kind}
        letters = letters_of(stage, definition)
        check_letters(stage, letters, expected, kind)
        assert not view.unbalanced()
        before = view.results()

        backfill = tandem("backfill", "--definition", str(definition))
        assert backfill.code == 0, backfill.said
        assert letters_of(stage, definition) == letters
        assert not view.unbalanced()
        assert view.received_by_batch() == len(special) + len(plain) + 1
        after = view.results()
        counted = [m for m in (*special.values(), *plain) if m.readable == kind]
        assert sum(values["sales"] for values in after.values()) == len({m.data for m in counted})
        without_1900 = {place: values for place, values in after.items() if place[1] != YEAR_1900}
        assert len(without_1900) == len(after) - 1
        assert repr({place: values for place, values in before.items() if place[1] != YEAR_1900}) == repr(without_1900)
        north = answer(view.store, view.compiled, '["north"]', AT, AT + HOUR)
        assert north.results["sales"] == len(GOOD[kind]) + (2 if kind == "json" else 1)
        assert north.certificate.dead_letters == len(letters)
        assert north.certificate.status is Status.PARTIAL

    totals = {place[0]: values["total"] for place, values in stage.view(definitions["avro"]).results().items()}
    assert math.isnan(totals['["nan"]'])
    assert totals['["inf"]'] == math.inf
    assert totals['["least"]'] == 5e-324
    totals = {place[0]: values["total"] for place, values in stage.view(definitions["json"]).results().items()}
    assert totals['["max"]'] == math.inf


def check_letters(stage: Any, letters: Sequence[StoredLetter], expected: dict[str, Message], kind: str) -> None:
    """Every expected message once, byte for byte, with its reason, at its place in the journal; and the empty one."""
    empty = [stored for stored in letters if not stored.letter.payload]
    assert [(stored.letter.reason, stored.letter.attributes) for stored in empty] == [
        ("an empty message", {"origin": "till 3"})
    ]
    found = [stored for stored in letters if stored.letter.payload]
    assert sorted(stored.letter.payload for stored in found) == sorted(message.data for message in expected.values())
    reasons = {stored.letter.payload: stored.letter.reason for stored in found}
    for name, message in expected.items():
        assert reasons[message.data], name
        if name.startswith(kind):
            assert message.reason in reasons[message.data], name
    blobs = LocalBlobs(stage.home / "journal")
    for stored in found:
        run, lane, number = unquote(stored.position).split("/")
        row = load_segment(blobs, segment_path(run, int(lane), int(number))).messages.slice(stored.letter.row, 1)
        assert row.column("data")[0].as_py() == stored.letter.payload
        assert row.column("message_id")[0].as_py() == stored.letter.message_id


def avro_file(path: Path, rows: Sequence[dict[str, Any]], **options: Any) -> Path:
    with path.open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(SALE), rows, **options)
    return path


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-9])
    return path


def parquet_file(path: Path, *columns: str) -> Path:
    rows = [sale(number) for number in range(20)]
    table = pa.table({name: [row[name] for row in rows] for name in columns})
    if "at" in columns:
        table = table.set_column(columns.index("at"), "at", table.column("at").cast(pa.timestamp("us", "UTC")))
    pq.write_table(table, path)
    return path


def bomb(path: Path) -> Path:
    return avro_file(path, [sale(1, shop="x" * (1 << 22))], codec="deflate")


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


ROWS = [sale(number) for number in range(50)]
ALL = ("id", "at", "shop", "amount")


@pytest.mark.parametrize("command", ["backfill", "publish"])
@pytest.mark.parametrize(
    ("make", "problem"),
    [
        pytest.param(lambda p: cut(avro_file(p / "e.avro", ROWS)), "e.avro", id="avro-cut-short"),
        pytest.param(lambda p: cut(parquet_file(p / "e.parquet", *ALL)), "e.parquet", id="parquet-cut-short"),
        pytest.param(
            lambda p: parquet_file(p / "e.parquet", "id", "at", "shop"), "amount", id="parquet-without-column"
        ),
        pytest.param(lambda p: bomb(p / "e.avro"), "decompresses to more than", id="avro-bomb"),
        pytest.param(lambda p: folder(p / "none"), "holds no files", id="empty-folder"),
        pytest.param(lambda p: p / "*.jsonl", "no file matches", id="glob-without-match"),
        pytest.param(lambda p: p / "e.jsonl", "no such file", id="missing"),
        pytest.param(lambda p: written(p / "e.xlsx", b"PK"), "ending", id="unknown-ending"),
        pytest.param(lambda p: written(p / "e.jsonl", b""), "empty file", id="empty-file"),
        pytest.param(lambda p: written(p / "e.avro", as_json(sale(1))), "not an Avro container", id="json-named-avro"),
        pytest.param(lambda p: written(p / "e.csv", b"id,when\n1,2\n"), "at", id="csv-without-column"),
    ],
)
def test_files_that_cannot_be_read_are_refused(
    command: str,
    make: Callable[[Path], Path],
    problem: str,
    stage: Any,
    definitions: dict[str, Path],
    tandem: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tandem.runners.options.values._LEAST_MEMORY", 2 << 20)
    target = ["--topic", stage.topic] if command == "publish" else []
    path = make(folder(tmp_path / "data"))
    flags = ["--definition", str(definitions["json"]), "--files", str(path), "--max-piece-memory", "2MiB", *target]
    refused(tandem(command, *flags), problem)
    assert stage.view(definitions["json"]).results() == {}


def test_what_fails_within_a_pipeline_is_one_line_too(stage: Any, definitions: dict[str, Path], tmp_path: Path) -> None:
    path = parquet_file(folder(tmp_path / "data") / "e.parquet", "id", "at", "shop")
    backfill = stage.start("backfill", "--definition", str(definitions["json"]), "--files", str(path))
    refused(Ended(backfill.end(), backfill.said()), "amount")


LINES = [as_json(row) for row in ROWS]
BAD_LINES = [b"{", b'{"id":null,"at":1,"shop":"a","amount":1}', b"\xff", as_json(sale(7, at=YEAR_2100))]


def csv_lines(rows: Sequence[Sequence[Any]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


BAD_ROWS: list[list[Any]] = [["a", "yesterday", "north", 1], ["b", AT, "north", "free"], ["", AT, "north", 2]]


@pytest.mark.parametrize(
    ("name", "content", "bad"),
    [
        pytest.param("e.jsonl", b"\n".join([*LINES[:9], *BAD_LINES, *LINES[9:]]), len(BAD_LINES), id="jsonl"),
        pytest.param(
            "e.csv",
            csv_lines([ALL, *BAD_ROWS[:1], *[list(row.values()) for row in ROWS], *BAD_ROWS[1:]]),
            len(BAD_ROWS),
            id="csv",
        ),
    ],
)
def test_bad_lines_of_files_become_dead_letters(
    name: str,
    content: bytes,
    bad: int,
    stage: Any,
    definitions: dict[str, Path],
    tandem: Command,
    tmp_path: Path,
) -> None:
    path = written(folder(tmp_path / "data") / name, content)
    files = ("--definition", str(definitions["json"]), "--files", str(path))
    ended = tandem("backfill", *files, "--max-bad", "100%")
    assert ended.code == 0, ended
    view = stage.view(definitions["json"])
    assert sum(values["sales"] for values in view.results().values()) == len(ROWS)
    letters = letters_of(stage, definitions["json"])
    assert len(letters) == bad
    assert all(stored.letter.payload.rstrip(b"\r\n") in content and stored.letter.reason for stored in letters)
    assert not view.unbalanced()

    refused(tandem("publish", *files, "--topic", stage.topic), "--skip-bad")
    assert tandem("publish", *files, "--topic", stage.topic, "--skip-bad").code == 0

    path.write_bytes(content + b"\n")
    refused(tandem("backfill", *files), "has changed since it was counted")


def test_dead_letters_of_files_make_answers_partial(
    stage: Any, definitions: dict[str, Path], tandem: Command, tmp_path: Path
) -> None:
    path = written(folder(tmp_path / "data") / "e.jsonl", b"\n".join([*LINES, *BAD_LINES]))
    files = ("--definition", str(definitions["json"]), "--files", str(path))
    ended = tandem("backfill", *files)
    assert ended.code == 1
    assert "more than --max-bad 1%: nothing is published" in ended.said.splitlines()[-1]
    assert tandem("backfill", *files, "--max-bad", "100%").code == 0
    view = stage.view(definitions["json"])
    found = answer(view.store, view.compiled, '["north"]', AT, AT + HOUR)
    assert (found.certificate.dead_letters, found.certificate.status) == (len(BAD_LINES), Status.PARTIAL)


RECURSIVE = {
    "type": "record",
    "name": "Node",
    "fields": [
        *SALE["fields"],
        {"name": "next", "type": ["null", "Node"], "default": None},
    ],
}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param("live {json} {subscription} --lanez 2", "--lanez", id="unknown-flag"),
        pytest.param("live {json} {subscription} --lanes two", "lanes", id="lanes-no-number"),
        pytest.param("live {json} {subscription} --lanes -1", "lanes", id="negative-lanes"),
        pytest.param("live {json} {subscription} --lanes 0", "lanes", id="no-lanes"),
        pytest.param("live {json} {subscription} --max-messages 0", "max-messages", id="no-messages"),
        pytest.param("live {json} {subscription} --until-idle soon", "until-idle", id="bad-duration"),
        pytest.param("live {json} {subscription} --until-idle 10s", "acknowledge deadline", id="until-idle-too-short"),
        pytest.param("live {json} {subscription} --idle-timeout=-3s", "idle-timeout", id="negative-duration"),
        pytest.param("live {json} {subscription} --idle-timeout=-3", "idle-timeout", id="negative-seconds"),
        pytest.param("live {json} {subscription} --idle-timeout inf", "idle-timeout", id="endless-duration"),
        pytest.param("live {json} {subscription} --generation-interval nan", "nan", id="interval-no-number"),
        pytest.param("live {json}", "--subscription", id="no-subscription"),
        pytest.param("live {subscription}", "--definition", id="no-definition"),
        pytest.param(
            "live {json} --subscription projects/p/subscriptions/none", "doesn't exist", id="no-such-subscription"
        ),
        pytest.param("live {json} --subscription events", "events", id="subscription-without-project"),
        pytest.param("live {json} {json} {subscription}", "sales_json", id="definition-twice"),
        pytest.param("live {json} {subscription} --resume 000001-ab", "000001-ab", id="resume-unknown-run"),
        pytest.param("live {json} {subscription} --store mysql://h/d", "mysql", id="unknown-store"),
        pytest.param("live {json} {subscription} --home {json_file}", "can't be made", id="home-is-a-file"),
        pytest.param("backfill --definition none.yaml --files x.jsonl", "none.yaml", id="no-such-definition"),
        pytest.param("backfill --definition {recursive} --files x.jsonl", "recursive", id="recursive-schema"),
        pytest.param("backfill --definition {broken} --files x.jsonl", "broken.yaml", id="definition-not-yaml"),
        pytest.param("backfill {json}", "nothing to read", id="nothing-to-read"),
        pytest.param("backfill {json} --upto 3", "there is no journal", id="upto-without-journal"),
        pytest.param("publish {json} --files x.jsonl", "--topic", id="no-topic"),
        pytest.param("publish {json} --files x.jsonl --topic {topic} --speed 0", "--speed", id="speed-of-zero"),
        pytest.param("publish {json} --files x.jsonl --topic {topic} --order-by size", "size", id="order-by-unknown"),
        pytest.param("fly", "fly", id="unknown-command"),
    ],
)
def test_wrong_use_is_refused(
    arguments: str, problem: str, stage: Any, definitions: dict[str, Path], tandem: Command, tmp_path: Path
) -> None:
    names = {
        "json": f"--definition {definitions['json']}",
        "json_file": str(definitions["json"]),
        "subscription": f"--subscription {stage.subscription}",
        "topic": stage.topic,
        "recursive": str(written(tmp_path / "recursive.yaml", recursive_definition())),
        "broken": str(written(tmp_path / "broken.yaml", b"name: [")),
    }
    refused(tandem(*arguments.format(**names).split()), problem)


def recursive_definition() -> bytes:
    schema = f"schema: {json.dumps(RECURSIVE)}"
    return DEFINITION.format(name="nodes", format="json").replace("schema: sale.avsc", schema).encode()


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param("live --definition {json} --subscription {subscription}", id="live"),
        pytest.param("publish --definition {json} --files {files} --topic {topic}", id="publish"),
    ],
)
def test_a_broker_that_is_down_is_named(
    arguments: str,
    stage: Any,
    definitions: dict[str, Path],
    tandem: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publishing, "wait_exponential_jitter", lambda **limits: wait_none())
    files = written(tmp_path / "e.jsonl", b"\n".join(LINES))
    names = {"json": definitions["json"], "subscription": stage.subscription, "topic": stage.topic, "files": files}
    reachable, stage.emulator = stage.emulator, "127.0.0.1:1"
    try:
        refused(tandem(*arguments.format(**names).split()), "UNAVAILABLE")
    finally:
        stage.emulator = reachable
