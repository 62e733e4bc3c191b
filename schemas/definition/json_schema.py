"""The published JSON Schema of definitions, for editors.

`python -m tandem.schemas.definition.json_schema` writes it anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from tandem.schemas.definition.models import Definition
from tandem.schemas.time.durations import format_duration

__all__ = ["PUBLISHED", "json_schema", "text"]

PUBLISHED: Final = Path(__file__).parents[1] / "definition.schema.json"


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a definition's YAML."""
    schema = Definition.model_json_schema(by_alias=True, mode="validation")
    for model, short in (("Window", "size"), ("Session", "gap")):  # `today: 1d` is short for a size
        whole = schema["$defs"][model]
        schema["$defs"][model] = {"anyOf": [whole["properties"][short], whole]}
    _shorten_outputs(schema["$defs"], "Output", "Result")
    _shorten_outputs(schema["$defs"], "Action", "Rule")
    target = schema["$defs"]["HttpTarget"]
    schema["$defs"]["HttpTarget"] = {"anyOf": [target["properties"]["url"], target]}
    schema["properties"]["measures"]["minProperties"] = 1
    rules = schema["properties"]["rules"]
    schema["properties"]["rules"] = {"anyOf": [{"type": "string"}, rules], "description": rules["description"]}
    of_rules = {name: value for name, value in schema["$defs"]["Rule"]["properties"].items() if name != "min_events"}
    for properties in (schema["properties"], schema["$defs"]["Source"]["properties"], of_rules):
        for name, value in properties.items():
            if type(value.get("default")) is int:  # durations, which are texts in YAML
                properties[name]["default"] = format_duration(value["default"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _shorten_outputs(models: dict[str, Any], output: str, of: str) -> None:
    """`to: log` is short for `to: [{log: true}]`."""
    kinds = []
    for name, value in models[output]["properties"].items():
        if "anyOf" in value:  # one of the places, which the others exclude
            models[output]["properties"][name] = {**value["anyOf"][0], "description": value["description"]}
            kinds.append({"properties": {name: {}}, "required": [name]})
    models[output] = {"anyOf": [{"const": "log"}, {**models[output], "oneOf": kinds}]}
    to = models[of]["properties"]["to"]
    models[of]["properties"]["to"] = {"anyOf": [{"$ref": f"#/$defs/{output}"}, to], "description": to["description"]}


def text() -> str:
    """The file's text."""
    return json.dumps(json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    PUBLISHED.write_text(text(), encoding="utf-8")
