"""`--set` and `--sweep`: rules with other numbers than they are written with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from pydantic import ValidationError

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.definition.loading import structural_problems
from tandem.schemas.definition.suggestions import suggestion
from tandem.schemas.errors import UserError
from tandem.schemas.rules.compiled import CompiledRule, compile_rules
from tandem.schemas.rules.models import Baseline, Rule
from tandem.schemas.time.durations import parse_duration

__all__ = ["parse_setting", "parse_sweep", "with_settings"]

_FIELDS: Final = ("for", "keep_firing_for", "min_events", "no_data", "forget", "from")
_DURATIONS: Final = ("for", "keep_firing_for", "forget")
_NUMBER: Final = re.compile(r"[-+]?[0-9]+", re.ASCII)
_MOST_STEPS: Final = 100
_BASELINE: Final = "baseline."
_BOOLEANS: Final = {"true": True, "false": False}


def parse_setting(text: str) -> tuple[str, Any]:
    """(name, value) of NAME=VALUE. Raises UserError."""
    name, is_set, value = text.partition("=")
    if not is_set or not name.strip() or not value.strip():
        raise UserError(f"--set {text[:80]!r}: write NAME=VALUE, such as threshold=3 or for=2h")
    return name.strip(), _value(value.strip())


def parse_sweep(text: str) -> tuple[str, tuple[float, ...]]:
    """(name, values) of NAME=LOW:HIGH or NAME=LOW:HIGH:STEPS. Raises UserError."""
    name, _, span = text.partition("=")
    name, parts = name.strip(), span.split(":")
    if name in _DURATIONS or any(map(_is_duration, parts[:2])):
        raise UserError(
            f"--sweep {text[:80]!r}: only numbers can be swept, such as threshold=1:5:9; `--set {name[:40]}=2h` tries "
            "one duration"
        )
    try:
        low, high, steps = [float(part) for part in (*parts, *(["10"] if len(parts) == 2 else []))]
        if not (name and -np.inf < low < high < np.inf and 2 <= steps <= _MOST_STEPS and steps == int(steps)):
            raise ValueError
    except ValueError:
        raise UserError(
            f"--sweep {text[:80]!r}: write NAME=LOW:HIGH or NAME=LOW:HIGH:STEPS, such as threshold=1:5:9, "
            f"with 2 to {_MOST_STEPS} steps"
        ) from None
    return name, tuple(float(value) for value in np.linspace(low, high, int(steps)))


def _is_duration(text: str) -> bool:
    try:
        parse_duration(text)
    except ValueError:
        return False
    return True


def with_settings(
    compiled: CompiledDefinition, rules: Sequence[CompiledRule], settings: Sequence[tuple[str, Any]]
) -> tuple[CompiledRule, ...]:
    """The rules with these settings: of parameters in those that have them, of fields in all. Raises UserError."""
    for name, _ in settings:
        if not any(name in _settable(rule.rule) for rule in rules):
            known = sorted({each for rule in rules for each in _settable(rule.rule)})
            raise UserError(f"--set: no rule has '{name[:80]}'; {suggestion(name, known)}")
    return tuple(_changed(compiled, rule, settings) for rule in rules)


def _settable(rule: Rule) -> list[str]:
    return [*rule.params, *_FIELDS, *(f"{_BASELINE}{name}" for name in Baseline.model_fields)]


def _changed(compiled: CompiledDefinition, rule: CompiledRule, settings: Sequence[tuple[str, Any]]) -> CompiledRule:
    mine = [(name, value) for name, value in settings if name in _settable(rule.rule)]
    if not mine:
        return rule
    changed = rule.rule
    of_baseline = {name.removeprefix(_BASELINE): value for name, value in mine if name.startswith(_BASELINE)}
    try:
        if of_baseline:  # all at once: some only go together
            known = changed.baseline.model_dump(exclude_unset=True)
            baseline = Baseline.model_validate({**known, **of_baseline})
            changed = changed.model_copy(update={"baseline": baseline})
        for name, value in mine:
            if not name.startswith(_BASELINE):
                changed = changed.model_copy(update=dict(_update(changed, name, value)))
    except ValidationError as error:
        raise UserError(_message(error, [name for name, _ in mine])) from None
    (made,) = compile_rules(compiled, {rule.name: changed})
    return replace(made, name=rule.name)


def _message(error: ValidationError, names: Sequence[str]) -> str:
    """One line that names the setting; several where they don't go together."""
    problem = structural_problems(error)[0]
    last = str(problem.path[-1]) if problem.path else ""
    named = [name for name in names if name.rpartition(".")[2] == last]
    return f"--set {', '.join(named or names)}: {problem.message}"


def _update(rule: Rule, name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The attribute that a setting changes, with its new value. Raises ValidationError."""
    if name in rule.params:
        tried = Rule.model_validate({"window": "1d", "expr": "true", "params": {name: value}})
        yield "params", {**rule.params, **tried.params}
    else:
        tried = Rule.model_validate({"window": "1d", "expr": "true", name: value})
        attribute = next(a for a, info in Rule.model_fields.items() if (info.alias or a) == name)
        yield attribute, getattr(tried, attribute)


def _value(text: str) -> Any:
    if _NUMBER.fullmatch(text):
        return int(text)
    try:
        return float(text)
    except ValueError:
        return _BOOLEANS.get(text, text)
