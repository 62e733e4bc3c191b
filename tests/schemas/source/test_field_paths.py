"""`source.fields`: what a path makes of a schema, what is refused, and when it is part of a version."""

from __future__ import annotations

import pytest

from tandem.schemas.avro.types import arrow_schema
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import Definition, loads
from tandem.schemas.errors import DefinitionError

DEFINITION = """\
name: orders
source:
  schema:
    type: record
    name: Order
    namespace: shop
    fields:
      - {name: id, type: string}
      - {name: at, type: {type: long, logicalType: timestamp-micros}}
      - {name: amount, type: double}
      - name: user
        type:
          type: record
          name: User
          fields:
            - {name: id, type: long}
            - {name: kind, type: {type: enum, name: Kind, symbols: [a, b]}}
            - {name: tags, type: {type: array, items: string}}
            - {name: either, type: ["null", long, string]}
            - name: home
              default: null
              type:
                - "null"
                - type: record
                  name: Home
                  fields: [{name: city, type: string}, {name: other, type: Kind}]
      - {name: places, type: {type: map, values: Home}}
  format: json
  event_id: id
  event_time: at
  fields: FIELDS
key: KEY
tile: 1m
measures: {n: count}
"""


def definition(fields: str, key: str = "[]") -> Definition:
    return loads(DEFINITION.replace("FIELDS", fields).replace("KEY", key))


@pytest.mark.parametrize(
    ("path", "kind", "nullable"),
    [
        ("user.id", "int64", False),
        ("user.kind", "string", False),
        ("user.home.city", "string", True),
        ("user.home.other", "string", True),
        ("[user, id]", "int64", False),
        ("amount", "double", False),
    ],
)
def test_new_fields(path: str, kind: str, nullable: bool) -> None:
    found = definition(f"{{new: {path}}}", "[new]" if kind != "double" else "[]")
    field = arrow_schema(found.source.fields_schema).field("new")
    assert (str(field.type), field.nullable) == (kind, nullable)
    assert compile_definition(found).definition.source.fields["new"]


def test_a_field_of_the_schema_under_another_name() -> None:
    found = definition('{amount: "Order Amount"}')
    entry = {e["name"]: e for e in found.source.fields_schema["fields"]}["amount"]
    assert entry["tandem.path"] == ["Order Amount"]
    assert [e["name"] for e in found.source.fields_schema["fields"]] == ["id", "at", "amount", "user", "places"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("{new: user.ids}", "source.fields.new: the schema has neither 'user.ids' nor a field 'new'"),
        ("{new: user.tags}", "source.fields.new: 'user.tags' is an array; a path must end at a scalar"),
        ("{new: user.tags.x}", "source.fields.new: 'user.tags' is an array; a path leads through records only"),
        ("{new: places.home}", "source.fields.new: 'places' is a map; a path leads through records only"),
        ("{new: user.either}", "source.fields.new: 'user.either' is a union; a path must end at a scalar"),
        ("{new: user}", "source.fields.new: 'user' is a record; a path must end at a scalar"),
        ("{amount: user.id}", "source.fields.amount: the schema has a field of this name, and 'user.id' too"),
        ("{new: user..id}", "source.fields.new: '' can't be the name of a field"),
        ("{new: 7}", "source.fields.new: a path is a text such as user.id"),
        ("{new: []}", "source.fields.new: a path of 0 names; allowed are 1 to 32"),
        ("{'no name': user.id}", "is not a name"),
        ("user.id", "source.fields: found 'user.id'; must be a mapping"),
    ],
)
def test_refused(fields: str, message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        definition(fields)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_paths_are_part_of_a_version() -> None:
    plain, other = definition("{}"), definition("{new: user.id}")
    assert plain.version == loads(DEFINITION.replace("  fields: FIELDS\n", "").replace("KEY", "[]")).version
    assert len({plain.version, other.version, definition("{new: user.home.city}").version}) == 3
    assert other.version == definition("{new: [user, id]}").version
