"""Schemas of messages: each message fulfils its JSON Schema, and Avro holds every type that results have."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import fastavro
import pytest
from without_runner.result_stories import Event, Story, definition_of

from tandem.schemas.result_messages.avro import avro_schema, avro_values
from tandem.schemas.result_messages.columns import message_schema, typed_message
from tandem.schemas.result_messages.json_schema import message_json_schema

MEASURES = {
    "count-and-sum": "{n: count, amount: {sum: amount}}",
    "floats": "{mean: {mean: amount}, spread: {stddev: amount}}",
    "quantiles": "{q: {quantiles: amount, at: [0.5, 0.999]}}",
    "texts-and-times": "{first: {first: user}, last: {last: at}, least: {min: amount}}",
    "lists": "{top: {top_k: user, k: 2}, most: {top_k: user, by: {sum: amount}, k: 2}}",
    "distinct": "{users: {distinct: amount}, about: {approx_distinct: amount}}",
}
MODES = ("accumulating", "retracting")


def fulfils(value: Any, schema: Any) -> bool:
    """As much of JSON Schema as these schemas use."""
    if schema is True:
        return True
    if "anyOf" in schema:
        return any(fulfils(value, each) for each in schema["anyOf"])
    if "enum" in schema:
        return value in schema["enum"]
    kinds: dict[str, Any] = {
        "object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None),
    }  # fmt: skip
    if schema["type"] == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if not isinstance(value, kinds[schema["type"]]) or (schema["type"] == "integer" and isinstance(value, bool)):
        return False
    if schema["type"] == "array":
        return all(fulfils(item, schema["items"]) for item in value)
    if schema["type"] != "object":
        return True
    inside = all(fulfils(value[name], part) for name, part in schema["properties"].items() if name in value)
    return inside and set(value) == set(schema["properties"]) == set(schema["required"])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("measures", MEASURES)
def test_every_message_fulfils_both(tmp_path: Path, measures: str, mode: str) -> None:
    compiled = definition_of(f"{{window: 1m, mode: {mode}, to: log}}", measures=MEASURES[measures])
    story = Story(tmp_path / "v.db", compiled)
    story.serve()
    story.live(Event(0.1, amount=3), Event(0.2, amount=-5), Event(0.3, user="bob"))
    story.watermark(1)
    story.deliver()
    story.live(Event(0.4, amount=7))
    story.deliver()
    story.close()
    stated, columns = message_json_schema(compiled, "r"), message_schema(compiled, "r")
    parsed = fastavro.parse_schema(avro_schema(compiled, "r"))
    assert len(story.output.sent) == 3
    for message in story.output.sent:
        assert fulfils(message, stated), message
        assert not fulfils({**message, "more": 1}, stated)
        values = avro_values(columns, typed_message(columns, message, 5, 6))
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, parsed, values)
        buffer.seek(0)
        read = fastavro.schemaless_reader(buffer, parsed, None)
        assert isinstance(read, dict)
        assert read["results"].keys() == message["results"].keys()
        assert read["revision"] == message["revision"]


def test_names_that_avro_has_not() -> None:
    compiled = definition_of("{window: 1m, mode: retracting, to: log}", measures=MEASURES["quantiles"])
    (replaces,) = [field for field in avro_schema(compiled, "r")["fields"] if field["name"] == "replaces"]
    results = next(field for field in replaces["type"][1]["fields"] if field["name"] == "results")
    assert results["type"] == ["null", "tandem.results.results"]
    assert '{"type": "map", "values": ["null", "double"]}' in json.dumps(avro_schema(compiled, "r"))


def test_a_value_that_does_not_fit_is_named() -> None:
    compiled = definition_of("{window: 1m, to: log}")
    columns = message_schema(compiled, "r")
    message = {field.name: None for field in columns} | {"results": {"n": 1, "amount": 2**63}}
    with pytest.raises(ValueError, match=r"results\.amount is 9223372036854775808, which doesn't fit int64"):
        typed_message(columns, message, 0, 0)
