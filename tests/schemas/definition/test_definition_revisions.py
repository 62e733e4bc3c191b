"""`source.revisions`: where schemas of writers come from, what is refused, and that no version depends on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tandem.app import app
from tandem.runners.options.definitions import definition_text
from tandem.schemas.definition.changes import definition_changes
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import Definition, load, loads
from tandem.schemas.errors import DefinitionError, UserError
from tandem.transforms.sources.decoding import source_readings

BASE = """\
name: clicks
source:
  schema: clicks.avsc
  format: avro
  event_id: id
  event_time: at{revisions}
key: page
tile: 1m
measures:
  clicks: count
  amount: {{sum: amount}}
"""
AT = {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}}


def schema(*fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": "Click", "fields": [{"name": "id", "type": "string"}, AT, *fields]}


OWN = schema({"name": "page", "type": "string"}, {"name": "amount", "type": "double", "default": 0})
OLDER = schema({"name": "page", "type": "string"})
NARROW = schema({"name": "amount", "type": "int"}, {"name": "page", "type": "string"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "revisions").mkdir()
    (tmp_path / "clicks.avsc").write_text(json.dumps(OWN))
    (tmp_path / "revisions/0a1b2c3d.avsc").write_text(json.dumps(OLDER))
    (tmp_path / "revisions/12345678.avsc").write_text(json.dumps(NARROW))
    (tmp_path / "revisions/README").write_text("not a schema")
    return tmp_path


def definition(folder: Path, revisions: str = "") -> Definition:
    text = BASE.format(revisions=f"\n  revisions: {revisions}" if revisions else "")
    return loads(text, file="c.yaml", folder=folder)


MAPPED = "{0a1b2c3d: revisions/0a1b2c3d.avsc, 12345678: revisions/12345678.avsc}"


@pytest.mark.parametrize("revisions", [pytest.param("revisions", id="folder"), pytest.param(MAPPED, id="mapping")])
def test_revisions_change_no_version(folder: Path, revisions: str) -> None:
    with_them, without = definition(folder, revisions), definition(folder)
    assert with_them.source.revisions == {"0a1b2c3d": OLDER, "12345678": NARROW}
    assert (with_them.version, with_them.source.version) == (without.version, without.source.version)
    assert [change.field for change in definition_changes(without, with_them)] == ["source.revisions"]
    assert compile_definition(with_them).definition.source.revisions, (
        "another than the one without, though equal in version"
    )
    assert compile_definition(without).definition.source.revisions == {}


def test_a_revision_can_stand_in_the_definition(folder: Path) -> None:
    inline = json.dumps(OLDER)
    assert definition(folder, f"{{ab: {inline}}}").source.revisions == {"ab": OLDER}


RECURSIVE = schema({"name": "page", "type": "string"}, {"name": "next", "type": ["null", "Click"]})
BOMB = schema({"name": "page", "type": "string"}, {"name": "x", "type": {"type": "array", "items": "null"}})
TEXT = schema({"name": "page", "type": "string"}, {"name": "amount", "type": "string"})
NO_PAGE = schema({"name": "amount", "type": "double"})


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(TEXT, "revisions/bad.avsc: field 'amount' is string there, and double in the definition's schema",
                     id="incompatible"),
        pytest.param(NO_PAGE, "revisions/bad.avsc: field 'page' is missing there, and string .*: the field has no",
                     id="no-default"),
        pytest.param(RECURSIVE, "revisions/bad.avsc: Click.next: 'Click' contains itself", id="recursive"),
        pytest.param(BOMB, "revisions/bad.avsc: Click.x: items of this array take no byte", id="bomb"),
        pytest.param("string", "revisions/bad.avsc: the top level is string; it must be a record", id="no-record"),
        pytest.param(None, "revisions/bad.avsc: not JSON", id="no-json"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("revisions", ["revisions", "{bad: revisions/bad.avsc}"])
def test_a_revision_that_can_not_be_read_is_refused(folder: Path, revisions: str, content: Any, why: str) -> None:
    (folder / "revisions/bad.avsc").write_text(json.dumps(content) if content is not None else "{")
    with pytest.raises(DefinitionError, match=rf"c\.yaml:7: source\.revisions\.bad: {why}") as error:
        definition(folder, revisions)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("field", "why"),
    [
        pytest.param({"type": {"type": "enum", "name": "E", "symbols": ["a"]}, "default": "b"},
                     'default "b" is not a symbol', id="enum"),
        pytest.param({"type": "int", "default": 2**31}, "default 2147483648 is out of range", id="int"),
        pytest.param({"type": "int", "default": "x"}, "Default value <x> must match schema type", id="text"),
    ],
)  # fmt: skip
def test_defaults_that_no_value_can_have(folder: Path, field: dict[str, Any], why: str) -> None:
    (folder / "clicks.avsc").write_text(json.dumps(schema({"name": "x", **field})))
    with pytest.raises(DefinitionError, match=f"source.schema: clicks.avsc: .*{why}"):
        definition(folder)


@pytest.mark.parametrize(
    ("revisions", "why"),
    [
        pytest.param("nowhere", "source.revisions: nowhere: no such folder", id="no-folder"),
        pytest.param("clicks.avsc", "source.revisions: clicks.avsc: not a folder", id="a-file"),
        pytest.param("{ab: nothing.avsc}", r"source.revisions.ab: nothing.avsc: no such file", id="no-file"),
        pytest.param("{'a/b': clicks.avsc}", "source.revisions: 'a/b' is not a revision id", id="no-id"),
        pytest.param("{ab: 7}", "source.revisions.ab: found 7; must be a mapping", id="number"),
        pytest.param("[a]", "source.revisions: found a list; must be a mapping", id="list"),
    ],
)
def test_wrong_revisions(folder: Path, revisions: str, why: str) -> None:
    with pytest.raises(DefinitionError, match=why):
        definition(folder, revisions)


def test_check_names_the_revisions_or_what_is_wrong_with_one(folder: Path) -> None:
    path = folder / "c.yaml"
    path.write_text(BASE.format(revisions="\n  revisions: revisions"))
    result = CliRunner().invoke(app, ["check", str(path)])
    assert (result.exit_code, result.output.strip().rpartition("; ")[2]) == (0, "schema revisions 0a1b2c3d, 12345678")
    (folder / "revisions/bad.avsc").write_text(json.dumps(TEXT))
    result = CliRunner().invoke(app, ["check", str(path)])
    assert result.exit_code == 2
    assert "revisions/bad.avsc: field 'amount' is string there" in result.output


def test_the_registered_text_holds_all_schemas(folder: Path) -> None:
    path = folder / "c.yaml"
    path.write_text(BASE.format(revisions="\n  revisions: revisions"))
    alone = loads(definition_text(str(path)), folder="/nonexistent")
    assert alone == load(path)


def test_definitions_on_one_source_must_list_the_same_revisions(folder: Path) -> None:
    both = [definition(folder, "revisions"), definition(folder).model_copy(update={"name": "other"})]
    with pytest.raises(UserError, match=r"other: its source is shared .* other schema revisions"):
        source_readings(both)
    (reading,) = source_readings([both[0], both[0].model_copy(update={"name": "other"})])
    assert reading.source.revisions == both[0].source.revisions


def test_changes_are_told_by_field(folder: Path) -> None:
    old = definition(folder)
    (folder / "clicks.avsc").write_text(
        json.dumps(schema({"name": "page", "type": "string"}, {"name": "amount", "type": "float", "default": 0}))
    )
    text = BASE.format(revisions="").replace("tile: 1m", "tile: 5m\nwhere: amount > 1")
    new = loads(text.replace("clicks: count", "visits: count"), folder=folder)
    found = {change.field: (change.old, change.new) for change in definition_changes(old, new)}
    assert found == {
        "tile": ("1m", "5m"),
        "where": (None, "amount > 1"),
        "measures.clicks": ("count", None),
        "measures.visits": (None, "count"),
        "source.schema.fields.amount": ({"type": "double", "default": 0}, {"type": "float", "default": 0}),
    }
    assert definition_changes(old, old) == ()
