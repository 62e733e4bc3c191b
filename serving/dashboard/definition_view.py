"""The contents of a definition's page: key, span and step from the URL or by default, and their answers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from tandem.schemas.definition.compiled import key_text
from tandem.schemas.time.durations import DAY, format_duration
from tandem.serving.api.answering import Asking, check_key
from tandem.serving.api.parameters import SeriesParameters
from tandem.serving.dashboard.outcomes.overlays import Overlay, overlay
from tandem.serving.questions.answers.answer_data import answer_data
from tandem.serving.questions.answers.asking import Question, SelectFlags, ask, question_of
from tandem.serving.questions.answers.definition_data import definition_data, numeric_results
from tandem.serving.questions.selection.instants import parse_time, time_in
from tandem.serving.questions.selection.session_spans import SessionFlags
from tandem.serving.questions.selection.spans import TimeFlags
from tandem.serving.security.hidden_counts import without_counts
from tandem.views.answers.reading.extents import tile_extent
from tandem.views.answers.reading.scope import read_scope

if TYPE_CHECKING:
    from tandem.schemas.definition.compiled import CompiledDefinition
    from tandem.serving.questions.answers.asking import KeyAnswers
    from tandem.views.answers.point import Series

__all__ = ["DefinitionView", "definition_view"]

_STEPS: Final = 180
"""Points of a chart, about."""
_LENGTHS: Final = tuple(
    n * 1_000_000
    for n in (1, 5, 10, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 604_800)
)
_RANGES: Final = (("1h", DAY // 24), ("6h", DAY // 4), ("24h", DAY), ("7d", 7 * DAY), ("30d", 30 * DAY))
_TOP: Final = 12
_PLAIN: Final = re.compile(r"[\w./:+-]+")


@dataclass(frozen=True, slots=True)
class DefinitionView:
    """The contents of the page."""

    name: str
    definition: dict[str, Any]
    results: list[str]
    """Results that can be drawn."""
    result: str
    """The drawn result."""
    asked: dict[str, str]
    """The parameters of the series, as in the URL: key, from, to, step, zone."""
    key_label: str
    series: dict[str, Any] | None
    """In the form of the API; None without events."""
    settled: str | None
    """The time before which no event is expected any more; None where it is unknown."""
    top: list[dict[str, Any]]
    ranges: list[tuple[str, dict[str, str]]]
    """(label, parameters) of suggested spans."""
    overlay: Overlay | None
    """Baselines and alerts; None without a series, or without rules."""


def definition_view(asking: Asking, given: Mapping[str, str]) -> DefinitionView:
    """The page for the parameters of its URL. Raises Problem, UserError for invalid ones."""
    compiled = asking.compiled
    drawn = numeric_results(compiled) or [next(iter(compiled.definition.measures))]
    result = given["result"] if given.get("result") in drawn else drawn[0]
    first, last = _extent(asking, compiled)
    start, end = _span(compiled, given, first, last)
    top = _top(asking, compiled, result, start, end, given.get("zone"))
    key = given.get("key") or (_key_text(top[0]["key"]) if top else "")
    asked = {
        "key": key,
        "from": given.get("from") or time_in(start, given.get("zone") or "UTC"),
        "to": given.get("to") or time_in(end, given.get("zone") or "UTC"),
        "step": given.get("step") or format_duration(_step(compiled.definition.tile, end - start)),
        "zone": given.get("zone") or "UTC",
    }
    series = _series(asking, asked) if key or not compiled.definition.key else None
    return DefinitionView(
        asking.name,
        definition_data(compiled),
        drawn,
        result,
        asked,
        ", ".join(f"{v}" for v in series["key"].values()) if series and series["key"] else key or "all events",
        series,
        _settled(compiled, series["certificate"]) if series is not None else None,
        top,
        [(label, _range(compiled, last, length, asked, result)) for label, length in _RANGES],
        _overlay(asking, asked, result, (start, end), series, given.get("rule")),
    )


def _overlay(
    asking: Asking,
    asked: Mapping[str, str],
    result: str,
    span: tuple[int, int],
    series: Mapping[str, Any] | None,
    rule: str | None,
) -> Overlay | None:
    if series is None or not asking.compiled.definition.rules:
        return None
    key = key_text(asking.compiled, asked["key"] or "[]")
    starts = [parse_time(point["start"], "start") for point in series["points"]]
    return overlay(asking, result, key, span, asked["step"], starts, rule or None)


def _settled(compiled: CompiledDefinition, certificate: Mapping[str, Any]) -> str | None:
    """Live's watermark; without live the completeness of batch's sources."""
    live = certificate["live_run"] is not None
    stated = certificate["watermark"] if live else certificate["complete_to"]
    lateness = compiled.definition.lateness if live or certificate["boundary"] else 0
    return time_in(parse_time(stated, "watermark") - lateness) if stated is not None else None


def _extent(asking: Asking, compiled: CompiledDefinition) -> tuple[int, int]:
    """[first, last) of the tiles that have rows; the current tile without any."""
    tile = compiled.definition.tile
    store = asking.store.views
    with store.database.read() as connection:
        found = tile_extent(connection, read_scope(connection, store.chains, compiled))
    now = asking.now // tile * tile
    return (found[0], found[1] + tile) if found is not None else (now, now + tile)


def _span(compiled: CompiledDefinition, given: Mapping[str, str], first: int, last: int) -> tuple[int, int]:
    """The span of the URL; else the last day with events, in whole steps."""
    if given.get("from") and given.get("to"):
        flags = TimeFlags(0, start=given["from"], end=given["to"], zone=given.get("zone") or None)
        question = question_of(compiled, flags, SessionFlags(), SelectFlags())
        return question.span.start, int(question.span.end or 0)
    length = min(DAY, max(last - first, compiled.definition.tile))
    step = _step(compiled.definition.tile, length)
    end = -(-last // step) * step
    return end - -(-length // step) * step, end


def _step(tile: int, length: int) -> int:
    """The shortest step of whole tiles that makes a chart readable and divides the span."""
    steps = [tile, *(each for each in _LENGTHS if each > tile and each % tile == 0)]
    fits = [step for step in steps if length % step == 0 and length // step <= 2 * _STEPS]
    return fits[0] if fits else length


def _range(
    compiled: CompiledDefinition, last: int, length: int, asked: Mapping[str, str], result: str
) -> dict[str, str]:
    tile = compiled.definition.tile
    length = max(length // tile * tile, tile)
    step = _step(tile, length)
    end = -(-last // step) * step
    zone = asked["zone"]
    return {
        "key": asked["key"],
        "result": result,
        "from": time_in(end - length, zone),
        "to": time_in(end, zone),
        "step": format_duration(step),
        "zone": "" if zone == "UTC" else zone,
    }


def _series(asking: Asking, asked: Mapping[str, str]) -> dict[str, Any]:
    parameters = SeriesParameters.model_validate({name: value for name, value in asked.items() if value})
    question: Question = question_of(
        asking.compiled, parameters.times(asking.now), SessionFlags(), parameters.select(), series=True
    )
    check_key(asking, str(question.key))
    found: Series = ask(asking.store.views, question)  # type: ignore[assignment]
    data = answer_data(question, found)
    return without_counts(data) if asking.restricted else data


def _top(
    asking: Asking, compiled: CompiledDefinition, result: str, start: int, end: int, zone: str | None
) -> list[dict[str, Any]]:
    """The keys with the highest values of a result in the span, each with its share of the greatest."""
    if not compiled.definition.key:
        return []
    flags = TimeFlags(0, start=time_in(start), end=time_in(end), zone=None)
    question = question_of(compiled, flags, SessionFlags(), SelectFlags(by=result, top=_TOP))
    question = replace(question, visible=asking.principal.rows.visible(asking.name))
    found: KeyAnswers = ask(asking.store.views, question)  # type: ignore[assignment]
    listed: list[dict[str, Any]] = answer_data(question, found)["answers"]
    numbers = [each["results"].get(result) for each in listed]
    most = max((abs(float(n)) for n in numbers if isinstance(n, int | float)), default=0.0)
    for each, number in zip(listed, numbers, strict=True):
        each["value"] = number
        each["share"] = abs(float(number)) / most if most and isinstance(number, int | float) else 0.0
        each["text"] = _key_text(each["key"])
        each["label"] = ", ".join(str(value) for value in each["key"].values())
    return listed


def _key_text(key: Mapping[str, Any]) -> str:
    """A key in the form of the parameter `key`: its values with commas, or a JSON array for other than plain values."""
    values = list(key.values())
    if all(isinstance(value, str) and _PLAIN.fullmatch(value) for value in values):
        return ",".join(values)
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))
