# ruff: noqa: E501 - tables of exact messages
"""Reading definitions: what they become, their versions, and the one message for whatever is wrong."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tandem.schemas.definition.json_schema import PUBLISHED, text
from tandem.schemas.definition.loading import Definition, load, loads
from tandem.schemas.errors import DefinitionError
from tandem.schemas.time.durations import DAY, HOUR, MINUTE, SECOND

EXAMPLES = Path(__file__).parents[3] / "examples"

BASE = """\
name: clicks
source:
  schema:
    type: record
    name: Click
    fields:
      - {name: id, type: string}
      - {name: at, type: {type: long, logicalType: timestamp-micros}}
      - {name: page, type: string}
      - {name: amount, type: double}
      - {name: user, type: [null, long], default: null}
      - {name: tags, type: {type: array, items: string}}
  format: json
  event_id: id
  event_time: at
where: amount > 0
derive:
  large: amount > 100
key: [page]
tile: 1m
measures:
  clicks: count
windows:
  hour: 1h
"""
FIELDS = "id, at, page, amount, user"
ALL = "name, source, where, derive, key, tile, lateness, freshness, deduplicate, measures, derive_results, windows, results, rules"
UNITS = "write whole numbers with a unit, such as 500ms, 1s, 5m, 1h30m, 1d or 2w"


def changed(*changes: tuple[str, str]) -> str:
    result = BASE
    for old, new in changes:
        assert result.count(old) == 1, f"{old!r} is there {result.count(old)} times"
        result = result.replace(old, new)
    return result


def wrong(yaml: str) -> str:
    with pytest.raises(DefinitionError) as error:
        loads(yaml, file="c.yaml")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_definition() -> None:
    definition = loads(BASE)
    assert definition.name == "clicks"
    assert definition.source.format == "json"
    assert definition.source.event_id == ("id",)
    assert definition.source.event_time == "at"
    assert definition.source.avro_schema["fields"][4] == {
        "name": "user",
        "type": ["null", "long"],
        "default": None,
    }
    assert definition.where == "amount > 0"
    assert definition.derive == {"large": "amount > 100"}
    assert definition.key == ("page",)
    assert definition.tile == MINUTE
    assert definition.measures == {"clicks": "count"}
    assert list(definition.windows) == ["hour"]


def test_defaults() -> None:
    definition = loads(
        changed(("where: amount > 0\nderive:\n  large: amount > 100\n", ""), ("windows:\n  hour: 1h\n", ""))
    )
    assert (definition.source.out_of_orderness, definition.source.max_ahead) == (0, DAY)
    assert (definition.where, definition.derive, definition.windows) == (None, {}, {})
    assert (definition.lateness, definition.freshness, definition.deduplicate) == (0, SECOND, True)


def test_windows_without_every_tumble() -> None:
    definition = loads(changed(("hour: 1h", "hour: 1h\n  sliding: {size: 1d, every: 1h}\n  long: {size: 4w}")))
    windows: dict[str, Any] = dict(definition.windows)
    found = {name: (window.size, window.every) for name, window in windows.items()}
    assert found == {"hour": (HOUR, HOUR), "sliding": (DAY, HOUR), "long": (28 * DAY, 28 * DAY)}


def test_any_distance_ahead() -> None:
    assert loads(changed(("event_time: at", "event_time: at\n  max_ahead: null"))).source.max_ahead is None


@pytest.mark.parametrize("name", ["flights", "clicks"])
def test_examples_load(name: str) -> None:
    definition = load(EXAMPLES / name / f"{name}.yaml")
    assert definition.name == name
    assert pickle.loads(pickle.dumps(definition)) == definition


def test_a_definition_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        loads(BASE).tile = 1


@pytest.mark.parametrize(
    "change",
    [
        ("name: clicks", "name: others"),
        ("tile: 1m", "tile: 1m\nfreshness: 5s"),
        ("windows:\n  hour: 1h\n", ""),
        ("windows:", "derive_results: {one: 1 + 1}\nwindows:"),
        ("tile: 1m", "tile: 60s"),
        ("name: page, type: string", "name: page, doc: where it was, type: string"),
    ],
)
def test_what_leaves_the_version(change: tuple[str, str]) -> None:
    assert loads(changed(change)).version == loads(BASE).version


SOURCE_CHANGES = [
    ("format: json", "format: avro"),
    ("event_id: id", "event_id: [id, page]"),
    ("event_time: at", "event_time: at\n  out_of_orderness: 1s"),
    ("event_time: at", "event_time: at\n  max_ahead: 2d"),
    ("name: amount, type: double", "name: amount, type: float"),
    ("default: null}", "default: null, aliases: [who]}"),
]
OTHER_CHANGES = [
    ("where: amount > 0", "where: amount > 1"),
    ("where: amount > 0\n", ""),
    ("large: amount > 100", "large: amount > 101"),
    ("key: [page]", "key: []"),
    ("key: [page]", "key: [page, user]"),
    ("tile: 1m", "tile: 1h"),
    ("tile: 1m", "tile: 1m\nlateness: 1h"),
    ("tile: 1m", "tile: 1m\ndeduplicate: false"),
    ("clicks: count", "clicks: {count: user}"),
    ("clicks: count", "all: count"),
]


@pytest.mark.parametrize("change", SOURCE_CHANGES + OTHER_CHANGES)
def test_what_changes_the_version(change: tuple[str, str]) -> None:
    assert loads(changed(change)).version != loads(BASE).version


def test_the_version_of_the_source() -> None:
    versions = {loads(changed(change)).source.version for change in SOURCE_CHANGES}
    assert len(versions) == len(SOURCE_CHANGES)
    assert {loads(changed(change)).source.version for change in OTHER_CHANGES} == {loads(BASE).source.version}


def test_versions_are_the_same_in_every_process_and_release() -> None:
    # a change of these texts orphans every stored view: raise the number in _digest only on purpose
    assert loads(BASE).version == "8dfcc39be7b5cc24"
    assert loads(BASE).source.version == "411fb0f59dffa938"


WRONG = {
    "unknown field": (
        changed(("tile: 1m", "tile: 1m\nlatenes: 1h")),
        f"c.yaml:21: latenes: unknown field 'latenes'; did you mean 'lateness'? allowed: {ALL}",
    ),
    "misspelt field": (
        changed(("tile: 1m", "tyle: 1m")),
        f"c.yaml:20: tyle: unknown field 'tyle'; did you mean 'tile'? allowed: {ALL}; and 1 more",
    ),
    "missing field": (
        changed(("tile: 1m\n", "")),
        "c.yaml:1: 'tile' is missing; required: name, source, key, tile, measures",
    ),
    "missing field of the source": (
        changed(("  format: json\n", "")),
        "c.yaml:2: source: 'format' is missing; required: schema, format, event_id, event_time",
    ),
    "name": (
        changed(("name: clicks", "name: Clicks")),
        "c.yaml:1: name: 'Clicks' is not a name; allowed are a lower-case letter, then up to 62 of a-z, 0-9, _ and -",
    ),
    "format": (
        changed(("format: json", "format: xml")),
        "c.yaml:13: source.format: found 'xml'; allowed: 'avro', 'json'",
    ),
    "source is a text": (
        "name: x\nsource: y\nkey: []\ntile: 1h\nmeasures: {a: count}",
        "c.yaml:2: source: found 'y'; must be a mapping of fields",
    ),
    "schema is a number": (
        "name: x\nsource: {schema: 1, format: json, event_id: a, event_time: b}\nkey: []\ntile: 1h\nmeasures: {a: count}",
        "c.yaml:2: source.schema: found 1; must be a mapping of names to values",
    ),
    "schema": (
        changed(("items: string", "items: null")),
        "c.yaml:3: source.schema: Click.tags: items of this array take no byte, so a few bytes would hold millions",
    ),
    "id": (
        changed(("event_id: id", "event_id: ids")),
        f"c.yaml:14: source.event_id: unknown field 'ids'; did you mean 'id'? allowed: {FIELDS}",
    ),
    "no id": (
        changed(("event_id: id", "event_id: []")),
        "c.yaml:14: source.event_id: 0 fields; allowed are 1 to 16",
    ),
    "id twice": (
        changed(("event_id: id", "event_id: [id, id]")),
        "c.yaml:14: source.event_id: 'id' twice; write each field once",
    ),
    "float id": (
        changed(("event_id: id", "event_id: amount")),
        "c.yaml:14: source.event_id: field 'amount' is a float; two texts of a float can mean one value, so it can't be an id",
    ),
    "time of another type": (
        changed(("event_time: at", "event_time: user")),
        "c.yaml:15: source.event_time: field 'user' is bigint; allowed: logical type timestamp-millis or timestamp-micros",
    ),
    "time is a list": (
        changed(("event_time: at", "event_time: tags")),
        f"c.yaml:15: source.event_time: field 'tags' is not a scalar, so it can't be used; allowed: {FIELDS}",
    ),
    "negative duration": (
        changed(("event_time: at", "event_time: at\n  out_of_orderness: -1h")),
        f"c.yaml:16: source.out_of_orderness: '-1h' is not a duration; {UNITS}",
    ),
    "where of another type": (
        changed(("where: amount > 0", "where: amount")),
        "c.yaml:16: where: the expression is double; it must be boolean",
    ),
    "where with an unknown column": (
        changed(("where: amount > 0", "where: amuont > 0")),
        f"c.yaml:16: where: unknown column 'amuont'; did you mean 'amount'? allowed: {FIELDS}",
    ),
    "where with a derived field": (
        changed(("where: amount > 0", "where: large")),
        "c.yaml:16: where: 'large' is a derived field; where comes first and sees only the source's fields",
    ),
    "where mixes types": (
        changed(("where: amount > 0", "where: at > '2013-01-01'")),
        "c.yaml:16: where: '>' needs values of one type: at is timestamp, '2013-01-01' is varchar; write TIMESTAMP '2013-01-01'",
    ),
    "where is no text": (
        changed(("where: amount > 0", "where: true")),
        "c.yaml:16: where: found true; must be a text",
    ),
    "derived field is there": (
        changed(("large: amount > 100", "amount: amount > 100")),
        "c.yaml:18: derive.amount: the source has a field of this name; choose another",
    ),
    "derived field that a list has": (
        changed(("large: amount > 100", "tags: amount > 100")),
        "c.yaml:18: derive.tags: the source has a field of this name; choose another",
    ),
    "derived field is reserved": (
        changed(("large: amount > 100", "__large: amount > 100")),
        "c.yaml:18: derive.__large: '__large' is not a name; allowed are letters, digits and _, not starting with a digit or __",
    ),
    "derived from below": (
        changed(("large: amount > 100", "large: other\n  other: amount")),
        f"c.yaml:18: derive.large: unknown column 'other'; allowed: {FIELDS}",
    ),
    "derived number": (
        changed(("large: amount > 100", "large: 1")),
        "c.yaml:18: derive.large: found 1; must be a text",
    ),
    "key": (
        changed(("key: [page]", "key: [user, pages]")),
        f"c.yaml:19: key[1]: unknown field 'pages'; did you mean 'page'? allowed: {FIELDS}, large",
    ),
    "float key": (
        changed(("key: [page]", "key: [amount]")),
        "c.yaml:19: key[0]: field 'amount' is double; a key can hold boolean, bigint, varchar, date and timestamp",
    ),
    "key is a mapping": (
        changed(("key: [page]", "key: {page: 1}")),
        "c.yaml:19: key: found a mapping; must be a list of field names",
    ),
    "tile without unit": (changed(("tile: 1m", "tile: 60")), f"c.yaml:20: tile: 60 has no unit; {UNITS}"),
    "tile that divides no day": (
        changed(("tile: 1m", "tile: 7m")),
        "c.yaml:20: tile: 7m is not allowed; a tile is from 1s to 1d and divides a day, such as 1m, 15m, 1h or 1d",
    ),
    "tile of two days": (
        changed(("tile: 1m", "tile: 2d")),
        "c.yaml:20: tile: 2d is not allowed; a tile is from 1s to 1d and divides a day, such as 1m, 15m, 1h or 1d",
    ),
    "tile of nothing": (
        changed(("tile: 1m", "tile: 0s")),
        "c.yaml:20: tile: 0s is not allowed; a tile is from 1s to 1d and divides a day, such as 1m, 15m, 1h or 1d",
    ),
    "freshness": (
        changed(("tile: 1m", "tile: 1m\nfreshness: 1ms")),
        "c.yaml:21: freshness: 1ms is too short; at least 10ms",
    ),
    "no boolean": (
        changed(("tile: 1m", "tile: 1m\ndeduplicate: yes")),
        "c.yaml:21: deduplicate: found 'yes'; must be true or false",
    ),
    "no measure": (
        changed(("  clicks: count", "  {}")),
        "c.yaml:21: measures: there is none; write at least one, such as 'events: count'",
    ),
    "measure's name": (
        changed(("clicks: count", "Clicks: count")),
        "c.yaml:22: measures.Clicks: 'Clicks' is not a name; allowed are a lower-case letter, then up to 62 of a-z, 0-9 and _",
    ),
    "window's size": (
        changed(("hour: 1h", "hour: 90s")),
        "c.yaml:24: windows.hour.size: 90s is not a whole multiple of the tile, 1m",
    ),
    "window's every": (
        changed(("hour: 1h", "hour: {size: 1h, every: 90s}")),
        "c.yaml:24: windows.hour.every: 90s is not a whole multiple of the tile, 1m",
    ),
    "window with gaps": (
        changed(("hour: 1h", "hour: {size: 1h, every: 2h}")),
        "c.yaml:24: windows.hour.every: 2h is longer than the size, 1h; it would leave gaps",
    ),
    "window's field": (
        changed(("hour: 1h", "hour: {size: 1h, evry: 1h}")),
        "c.yaml:24: windows.hour.evry: unknown field 'evry'; did you mean 'every'? allowed: size, every",
    ),
    "window is a list": (
        changed(("hour: 1h", "hour: [1h]")),
        "c.yaml:24: windows.hour: found a list; must be a mapping of fields",
    ),
    "field twice": (
        changed(("tile: 1m", "tile: 1m\ntile: 1h")),
        "c.yaml:21: tile: written twice, first in line 20; write each field once",
    ),
    "several": (
        changed(("hour: 1h", "hour: x"), ("tile: 1m", "tile: 7x"), ("name: clicks", "name: Clicks")),
        "c.yaml:1: name: 'Clicks' is not a name; allowed are a lower-case letter, then up to 62 of a-z, 0-9, _ and -; and 2 more",
    ),
    "several of meaning": (
        changed(("event_time: at", "event_time: page"), ("event_id: id", "event_id: ids")),
        f"c.yaml:14: source.event_id: unknown field 'ids'; did you mean 'id'? allowed: {FIELDS}; and 1 more",
    ),
}


@pytest.mark.parametrize(("yaml", "message"), [pytest.param(*case, id=name) for name, case in WRONG.items()])
def test_wrong_definitions(yaml: str, message: str) -> None:
    assert wrong(yaml) == message


@pytest.mark.parametrize(
    ("spec", "start"),
    [
        pytest.param("{sum: page}", "c.yaml:22: measures.clicks.sum: ", id="type"),
        pytest.param("{sum: amuont}", "c.yaml:22: measures.clicks.sum: ", id="column"),
        pytest.param("{summ: amount}", "c.yaml:22: measures.clicks: unknown measure summ", id="kind"),
        pytest.param("\n    quantiles: amount\n    at: [2]", "c.yaml:24: measures.clicks.at: ", id="parameter"),
    ],
)
def test_wrong_measures_are_told_with_their_line(spec: str, start: str) -> None:
    assert wrong(changed(("clicks: count", f"clicks: {spec}"))).startswith(start)


def test_fields_by_alias_only() -> None:
    assert "unknown field 'avro_schema'" in wrong(changed(("  schema:\n", "  avro_schema:\n")))


def schema_in(folder: Path) -> str:
    schema = {
        "type": "record",
        "name": "E",
        "fields": [
            {"name": "id", "type": "long"},
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        ],
    }
    (folder / "e.avsc").write_text(json.dumps(schema))
    return (
        "name: e\nsource: {schema: e.avsc, format: avro, event_id: id, event_time: at}\n"
        "key: []\ntile: 1h\nmeasures: {events: count}\n"
    )


def test_the_schema_lies_beside_the_definition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    (tmp_path / "e.yaml").write_text(schema_in(tmp_path))
    assert load(tmp_path / "e.yaml").source.avro_schema["name"] == "E"


def test_a_schema_of_a_file_and_inline_are_the_same(tmp_path: Path) -> None:
    yaml = schema_in(tmp_path)
    inline = yaml.replace("e.avsc", (tmp_path / "e.avsc").read_text())
    assert loads(yaml, folder=tmp_path).version == loads(inline).version


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "e.avsc: no such file", id="missing"),
        pytest.param(b"{", "e.avsc: not JSON: ", id="not JSON"),
        pytest.param(b"\xff\xfe", "e.avsc: not UTF-8: byte 0 is 0xff", id="not UTF-8"),
        pytest.param(b" " * 1_000_001, "e.avsc: more than 1,000,000 bytes", id="large"),
        pytest.param(b'{"type": "enum"}', "e.avsc: the top level is enum; it must be a record", id="no record"),
    ],
)
def test_schema_files_that_cannot_be_used(tmp_path: Path, content: bytes | None, message: str) -> None:
    (tmp_path / "e.yaml").write_text(schema_in(tmp_path))
    (tmp_path / "e.avsc").unlink()
    if content is not None:
        (tmp_path / "e.avsc").write_bytes(content)
    with pytest.raises(DefinitionError) as error:
        load(tmp_path / "e.yaml")
    assert str(error.value).startswith(f"{tmp_path}/e.yaml:2: source.schema: {message}")


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"x\.yaml: no such file$"):
        load(tmp_path / "x.yaml")
    with pytest.raises(DefinitionError, match=r": is a folder$"):
        load(tmp_path)
    os.mkfifo(tmp_path / "pipe")  # reading it would wait for ever
    with pytest.raises(DefinitionError, match=r"pipe: no such file$"):
        load(tmp_path / "pipe")


def test_the_published_json_schema_is_up_to_date() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == text(), "run: python -m tandem.schemas.definition.json_schema"


def test_the_published_json_schema_has_every_field_with_its_description() -> None:
    schema = json.loads(text())
    assert list(schema["properties"]) == list(Definition.model_fields)
    described = {name for name, value in schema["properties"].items() if "description" in value}
    assert described == set(schema["properties"]) - {"source"}
    assert schema["$defs"]["Source"]["properties"]["max_ahead"]["default"] == "1d"
