"""The published JSON Schema of definitions, for editors.

`python -m tandem.schemas.definition.json_schema` regenerates it.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from tandem.schemas.definition.model_base import Model
from tandem.schemas.definition.models import Definition
from tandem.schemas.time.durations import format_duration

__all__ = ["PUBLISHED", "json_schema", "text"]

PUBLISHED: Final = Path(__file__).parents[1] / "definition.schema.json"


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a definition's YAML."""
    schema = _described(Definition.model_json_schema(by_alias=True, mode="validation"))
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


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with each field's docstring as its description; the source is read only here, so that no command waits
    for it.
    """
    models = {model.__name__: model for model in _models(Model)}
    for name, value in (("Definition", schema), *schema["$defs"].items()):
        if name in models:
            _describe(models[name], value["properties"])
    return schema


def _describe(model: type[Model], properties: dict[str, Any]) -> None:
    texts = {name: text for each in reversed(model.__mro__) for name, text in _texts(each).items()}
    for name, field in model.model_fields.items():
        shown = field.alias or name
        if name in texts and shown in properties:
            properties[shown] = dict(sorted({**properties[shown], "description": texts[name]}.items()))


def _texts(model: type) -> dict[str, str]:
    if not issubclass(model, Model):
        return {}
    (found,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(found, ast.ClassDef)
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(found.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }


def _models(model: type[Model]) -> Iterator[type[Model]]:
    for each in model.__subclasses__():
        yield each
        yield from _models(each)


def _shorten_outputs(models: dict[str, Any], output: str, of: str) -> None:
    """Let `to: log` be short for `to: [{log: true}]`."""
    kinds = []
    for name, value in models[output]["properties"].items():
        if "anyOf" in value:  # one of the places, which the others exclude
            models[output]["properties"][name] = {**value["anyOf"][0], "description": value["description"]}
            kinds.append({"properties": {name: {}}, "required": [name]})
    models[output] = {"anyOf": [{"const": "log"}, {**models[output], "oneOf": kinds}]}
    to = models[of]["properties"]["to"]
    models[of]["properties"]["to"] = {"anyOf": [{"$ref": f"#/$defs/{output}"}, to], "description": to["description"]}


def text() -> str:
    """The text of the published file."""
    return json.dumps(json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    PUBLISHED.write_text(text(), encoding="utf-8")
