"""Rules as they are written: what is understood, and each mistake by file, line and field."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tandem.runners.options.definitions import definition_text
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import load, loads
from tandem.schemas.errors import DefinitionError
from tandem.schemas.rules.automaton import Verdict
from tandem.schemas.rules.compiled import CompiledRule, compile_rules
from tandem.schemas.rules.loading import load_rules
from tandem.schemas.rules.models import Rule
from tandem.schemas.rules.templates import rendered, template_problems

TEXT = """
name: visits
source:
  schema: {type: record, name: Visit, fields: [
    {name: id, type: string}, {name: at, type: {type: long, logicalType: timestamp-micros}},
    {name: user, type: string}, {name: amount, type: long}]}
  format: json
  event_id: id
  event_time: at
key: user
tile: 1m
lateness: 1m
measures: {n: count, amount: {sum: amount}, last: {last: user}, p: {quantiles: amount, at: [0.5], error: 0.01}}
derive_results: {each: amount / n}
"""


@pytest.fixture(scope="module")
def compiled() -> CompiledDefinition:
    return compile_definition(loads(TEXT))


def rule(compiled: CompiledDefinition, **fields: Any) -> CompiledRule:
    fields = {name.rstrip("_"): value for name, value in fields.items()}
    (made,) = compile_rules(compiled, {"r": Rule.model_validate({"window": "5m", "expr": "n > 3", **fields})})
    return made


def test_what_is_read(compiled: CompiledDefinition) -> None:
    made = rule(compiled, expr="each > baseline.each.high AND p_p50 > 2", recover="n < baseline.n OR events < 2")
    assert [field.name for field in made.results] == ["n", "p_p50", "each", "events"]
    assert [(c.column, c.measure, c.part) for c in made.baselines] == [
        ("baseline.n", "n", ""), ("baseline.each.high", "each", "high"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, (1, 1, Verdict.OK), id="at-once"),
        pytest.param({"for_": "10m", "keep_firing_for": "5m"}, (3, 2, Verdict.OK), id="windows-between"),
        pytest.param({"for_": "7m"}, (3, 1, Verdict.OK), id="rounded-up"),
        pytest.param({"no_data": "alert"}, (1, 1, Verdict.ACTIVE), id="no-data-alerts"),
        pytest.param({"no_data": "keep"}, (1, 1, Verdict.CANT_JUDGE), id="no-data-keeps"),
    ],
)
def test_patience(compiled: CompiledDefinition, fields: dict[str, Any], expected: tuple[Any, ...]) -> None:
    hysteresis = rule(compiled, **fields).hysteresis
    assert (hysteresis.to_fire, hysteresis.to_resolve, hysteresis.no_data) == expected


def test_a_version_is_of_what_decides(compiled: CompiledDefinition) -> None:
    one = rule(compiled)
    assert rule(compiled, labels={"team": "a"}, to="log", shadow=True).version == one.version
    others: list[dict[str, Any]] = [
        {"expr": "n > 4"},
        {"for_": "5m"},
        {"baseline": {"periods": 3}},
        {"from_": "2026-01-01"},
    ]
    assert len({one.version, *(rule(compiled, **other).version for other in others)}) == 5


def test_parameters(compiled: CompiledDefinition) -> None:
    made = rule(compiled, expr="last = 'params.x' OR n > params.x + 1", params={"x": 4})
    assert made.expr.text == "last = 'params.x' OR n > (4.0) + 1"


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        pytest.param("window: 5m, expr: m > 1", "rules.r.expr: unknown column 'm'", id="unknown-measure"),
        pytest.param("window: 5m, expr: baseline.last = 1", "unknown column 'baseline.last'", id="no-number"),
        pytest.param("window: 5m, expr: baseline.n.hihg > 1", "did you mean 'baseline.n.high'", id="unknown-part"),
        pytest.param("window: 5m, expr: n + 1", "rules.r.expr: the expression is bigint; it must be boolean",
                     id="not-boolean"),
        pytest.param("window: 5m, expr: n > params.x", "unknown parameter 'x'", id="unknown-parameter"),
        pytest.param("window: 90s, expr: n > 1", "rules.r.window.size: 90s is not a whole multiple of the tile",
                     id="cuts-tiles"),
        pytest.param("window: {session: 5m}, expr: n > 1", "session windows can't be judged", id="session"),
        pytest.param("window: 7m, expr: n > 1", "rules.r.baseline.season: windows every 7m don't divide a day",
                     id="no-season"),
        pytest.param("window: 5m", "'expr' is missing; required: window, expr", id="no-expression"),
        pytest.param("window: 5m, expr: n > 1, group_by: usr", "'usr' is no field of the key; did you mean 'user'?",
                     id="no-group"),
        pytest.param("window: 5m, expr: n > 1, group_wait: 1m", "rules.r.group_wait: goes with `group_by`", id="alone"),
        pytest.param("window: 5m, expr: n > 1, partial: no", "rules.r.partial: found 'no'; allowed: 'judge', 'wait'",
                     id="partial"),
        pytest.param("window: 5m, expr: n > 1, sevrity: x", "'sevrity'; did you mean 'severity'?", id="unknown-field"),
        pytest.param("window: 5m, expr: n > 1, baseline: {perods: 3}", "did you mean 'periods'?", id="of-a-baseline"),
        pytest.param("window: 5m, expr: n > 1, baseline: {periods: 2, min_periods: 3}",
                     "min_periods, 3, is more than periods, 2", id="more-than-there-are"),
        pytest.param("window: 5m, expr: n > 1, baseline: {statistic: absolute}", "`value` goes with", id="no-value"),
        pytest.param("window: 5m, expr: n > 1, baseline: {zone: Berlin}", "did you mean 'Europe/Berlin'?", id="zone"),
        pytest.param("window: 5m, expr: n > 1, baseline: {holidays: [25.12.2026]}", "write it as 2026-12-25",
                     id="no-date"),
        pytest.param("window: 5m, expr: n > 1, baseline: {holidays: none.txt}", "none.txt: no such file",
                     id="no-file-of-holidays"),
        pytest.param("window: 5m, expr: n > 1, lateness: 10s", "rules.r.lateness: 10s is shorter", id="lateness"),
        pytest.param("window: 5m, expr: n > 1, from: yesterday", "rules.r.from: 'yesterday' is not a time", id="from"),
        pytest.param("window: 5m, expr: n > 1, annotations: {s: '{{ m }}'}",
                     "rules.r.annotations.s: unknown name 'm'", id="unknown-in-a-text"),
    ],
)  # fmt: skip
def test_mistakes(compiled: CompiledDefinition, tmp_path: Path, yaml: str, message: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(f"rules:\n  r: {{{yaml}}}\n", encoding="utf-8")
    with pytest.raises(DefinitionError, match=r"rules\.yaml:2: ") as error:
        load_rules(path, compiled)
    assert message in str(error.value)


def test_a_file_of_holidays(compiled: CompiledDefinition, tmp_path: Path) -> None:
    (tmp_path / "days.txt").write_text("# of 2026\n2026-12-25  # Christmas\n\n2026-01-01\n", encoding="utf-8")
    path = tmp_path / "rules.yaml"
    path.write_text(
        "rules: {r: {window: 5m, expr: n > 1, baseline: {season: day_type, holidays: days.txt}}}", encoding="utf-8"
    )
    (made,) = load_rules(path, compiled)
    assert made.rule.baseline.holidays == ("2026-01-01", "2026-12-25")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("{{ n }} of {{key.user}}", None, id="names"),
        pytest.param("{{ n.__class__ }}", "unknown name 'n.__class__'", id="nothing-inside"),
        pytest.param("{{ f() }}", "is no name", id="no-call"),
        pytest.param("{{ n", "a '{{' without '}}'", id="not-closed"),
    ],
)
def test_templates(text: str, problem: str | None) -> None:
    problems = list(template_problems(text, ["n", "key.user"]))
    assert problems == [] if problem is None else problem in problems[0]


def test_values_are_no_templates() -> None:
    values = {"key.user": "{{ n }}", "n": 1 / 3}
    assert rendered("{{ key.user }}: {{ n }}, {{ gone }}", values) == "{{ n }}: 0.333333, -"


def test_a_definition_is_registered_with_its_holidays(tmp_path: Path) -> None:
    """By name it is read where the file of holidays isn't."""
    (tmp_path / "days.txt").write_text("2026-12-25\n", encoding="utf-8")
    rules = "rules: {r: {window: 5m, expr: n > 1, baseline: {season: day_type, holidays: days.txt}}}\n"
    (tmp_path / "visits.yaml").write_text(TEXT + rules, encoding="utf-8")
    alone = loads(definition_text(str(tmp_path / "visits.yaml")), folder="/nonexistent")
    assert alone.rules["r"].baseline.holidays == ("2026-12-25",)


def test_a_definition_names_a_file_of_rules(tmp_path: Path) -> None:
    """Its paths are from its own folder, and it is registered with what is in it."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/days.txt").write_text("2026-12-25\n", encoding="utf-8")
    rules = "rules: {r: {window: 5m, expr: n > 1, baseline: {season: day_type, holidays: days.txt}}}\n"
    (tmp_path / "rules/all.yaml").write_text(rules, encoding="utf-8")
    (tmp_path / "visits.yaml").write_text(f"{TEXT}rules: rules/all.yaml\n", encoding="utf-8")
    there = load(tmp_path / "visits.yaml")
    alone = loads(definition_text(str(tmp_path / "visits.yaml")), folder="/nonexistent")
    assert alone.rules == there.rules
    assert alone.rules["r"].baseline.holidays == ("2026-12-25",)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        pytest.param("rules:\n  r: {window: 5m, expr: n > , to: log}\n", "all.yaml:2: rules.r.expr: ", id="a-rule"),
        pytest.param("rules:\n  r:\n    window: 5m\n    exbr: n\n", "all.yaml:4: rules.r.exbr: unknown", id="a-field"),
        pytest.param("rules: {}\n", "all.yaml: rules: found no rules", id="none"),
        pytest.param("rules: {r: {window: 5m, expr: n > 1}}\nname: v\n", "all.yaml:2: unknown field 'name'", id="more"),
        pytest.param(None, "all.yaml: no such file", id="no-file"),
    ],
)
def test_mistakes_in_a_file_of_rules(tmp_path: Path, rules: str | None, message: str) -> None:
    if rules is not None:
        (tmp_path / "all.yaml").write_text(rules, encoding="utf-8")
    (tmp_path / "visits.yaml").write_text(f"{TEXT}rules: all.yaml\n", encoding="utf-8")
    with pytest.raises(DefinitionError, match=re.escape(message)):
        load(tmp_path / "visits.yaml")
