"""Values of the chart: what isn't known, has another form, or leaves nothing to run is refused, wherever it stands."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from deployments.helm_chart import CHART, VALUES, refusals

SCHEMA: Final[dict[str, Any]] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
WRONG: Final[dict[str, Any]] = {
    "string": [1],
    "integer": "four",
    "number": "four",
    "boolean": "yes",
    "array": {"a": 1},
    "object": "text",
}
Path = tuple[str | int, ...]


def places(schema: dict[str, Any], path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    """(where it stands in the values, the schema) of everything that has a place; "*" stands for any name."""
    yield path, schema
    for name, own in schema.get("properties", {}).items():
        yield from places(own, (*path, name))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from places(schema["additionalProperties"], (*path, "*"))
    if "items" in schema:
        yield from places(schema["items"], (*path, 0))


def planted(path: Path, value: Any) -> dict[str, Any]:
    """The example's values with one that is put in somewhere, and what is needed for it to stand there."""
    values = copy.deepcopy(VALUES)
    place: Any = values
    for at, part in enumerate(path[:-1]):
        inside: Any = [] if isinstance(path[at + 1], int) else {}
        if isinstance(part, int):
            place[:] = place or [inside]
            place = place[0]
        else:
            name = "planted" if part == "*" else part
            place[name] = place.get(name) or inside
            place = place[name]
    if isinstance(path[-1], int):
        place[:] = [value]
    else:
        place["planted" if path[-1] == "*" else path[-1]] = value
    return values


def test_every_object_says_what_it_may_have() -> None:
    objects = {path: own for path, own in places(SCHEMA) if own.get("type") == "object"}
    assert len(objects) > 40
    open_ones = [path for path, own in objects.items() if own.get("additionalProperties", True) is True]
    assert open_ones == [("global",)], "what Helm itself hands to every chart"


def test_an_unknown_value_is_refused_at_every_level() -> None:
    closed = [path for path, own in places(SCHEMA) if own.get("additionalProperties") is False]
    said = refusals([planted((*path, "nosuchvalue"), 1) for path in closed])
    assert {path: text for path, text in zip(closed, said, strict=True) if "nosuchvalue" not in text} == {}


def test_a_value_of_another_form_is_refused_everywhere() -> None:
    typed = [(path, own["type"]) for path, own in places(SCHEMA) if path and isinstance(own.get("type"), str)]
    said = refusals([planted(path, WRONG[kind]) for path, kind in typed])
    assert [path for (path, _), text in zip(typed, said, strict=True) if "values don't meet the spec" not in text] == []


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        pytest.param(("serve", "names"), [], "serve.names", id="answers that nobody may ask for"),
        pytest.param(("live", "subscription"), "", "live.subscription", id="nothing to read"),
        pytest.param(("definitions",), {}, "definitions", id="nothing to run"),
        pytest.param(("home",), "", "home", id="no home"),
    ],
)
def test_what_is_needed_is_named(path: Path, value: Any, says: str) -> None:
    (said,) = refusals([planted(path, value)])
    assert says in said
