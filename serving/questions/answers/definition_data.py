"""A definition as plain data: its key, results and windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tandem.schemas.expressions import type_name
from tandem.schemas.results import computing_schema
from tandem.schemas.time.durations import format_duration
from tandem.schemas.time.windows import CalendarWindow, CumulativeWindow, SessionWindow
from tandem.serving.questions.selection.selecting import result_names

if TYPE_CHECKING:
    from tandem.schemas.definition.compiled import CompiledDefinition
    from tandem.schemas.time.windows import AnyWindow

__all__ = ["definition_data", "numeric_results"]


def definition_data(compiled: CompiledDefinition) -> dict[str, Any]:
    """{name, version, key, tile, lateness, results, windows, where}; a result is {name, kind, type}."""
    definition = compiled.definition
    types = {field.name: type_name(field.type) for field in computing_schema(compiled.measures)}
    measures = dict(compiled.measures)
    results = [
        {"name": name, "kind": _kind(measures.get(name)), "type": types.get(name)} for name in result_names(compiled)
    ]
    for name, expression in compiled.derive_results:
        next(each for each in results if each["name"] == name)["type"] = type_name(expression.type)
    return {
        "name": definition.name,
        "version": compiled.version,
        "key": [{"name": field.name, "type": type_name(field.type)} for field in compiled.key_fields],
        "tile": format_duration(definition.tile),
        "lateness": format_duration(definition.lateness),
        "results": results,
        "windows": {name: _window(window) for name, window in definition.windows.items()},
        "where": definition.where,
    }


def numeric_results(compiled: CompiledDefinition) -> list[str]:
    """The results that are one number each, which a chart can draw."""
    data = definition_data(compiled)["results"]
    return [each["name"] for each in data if each["type"] and each["type"].split("(")[0] in _NUMBERS]


_NUMBERS: Final = frozenset({"bigint", "double", "decimal"})


def _kind(measure: Any) -> str:
    return "derived" if measure is None else str(measure.kind)


def _window(window: AnyWindow) -> dict[str, Any]:
    if isinstance(window, SessionWindow):
        return {"kind": "session", "gap": format_duration(window.gap)}
    if isinstance(window, CalendarWindow):
        return {"kind": "calendar", "period": str(window.calendar), "zone": window.zone}
    if isinstance(window, CumulativeWindow):
        return {"kind": "cumulative", "since": window.since, "zone": window.zone}
    return {"kind": "time", "size": format_duration(window.size), "every": format_duration(window.every)}
