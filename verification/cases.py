"""A failing case: checked again by one call, and written as a test for pytest."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import loads
from tandem.verification.measure_modules import import_measures
from tandem.verification.oracle.laws import LawCase, check_law
from tandem.verification.oracle.oracle import Oracle
from tandem.verification.running import run_schedule
from tandem.verification.world.schedules import Schedule

__all__ = ["Case", "LawCase", "Schedule", "check_case", "module_text", "only_needed"]


@dataclass(frozen=True, slots=True)
class Case:
    """A definition (its YAML, including the Avro schema), payloads, and the checks on them."""

    definition: str
    payloads: tuple[bytes, ...]
    steps: LawCase | Schedule
    measures: tuple[str, ...] = ()
    """Modules of the user's own measures, in the form of `import_measures`."""


def check_case(case: Case, oracle: Oracle | None = None) -> None:
    """Check a case. Raises Mismatch if anything differs. `oracle`: of that definition, to avoid decoding again."""
    for module in case.measures:
        import_measures(module)
    definition = loads(case.definition)
    oracle = oracle or Oracle(compile_definition(definition))
    if isinstance(case.steps, Schedule):
        run_schedule(definition, case.definition, case.payloads, case.steps, oracle)
    else:
        check_law(oracle, [oracle.event(payload) for payload in case.payloads], case.steps)


def only_needed(case: Case) -> Case:
    """Without unused payloads; the others keep their order."""
    steps = case.steps
    if isinstance(steps, Schedule):
        used = sorted({pick for kind, pick in steps.steps if kind == "send"})
    else:
        used = sorted({index for part in steps.parts for index in part})
    new = {index: number for number, index in enumerate(used)}
    payloads = tuple(case.payloads[index] for index in used)
    if isinstance(steps, Schedule):
        renumbered = ((kind, new[pick] if kind == "send" else pick) for kind, pick in steps.steps)
        return replace(case, payloads=payloads, steps=replace(steps, steps=tuple(renumbered)))
    parts = tuple(tuple(new[index] for index in part) for part in steps.parts)
    return replace(case, payloads=payloads, steps=replace(steps, parts=parts))


def module_text(case: Case, name: str, found: str, seed: int) -> str:
    """A module for pytest whose one test fails as long as the case does.

    Args:
        case: the case.
        name: of the definition.
        found: the difference, one line.
        seed: with which it was found.
    """
    modules = tuple(str(Path(module).resolve()) if module.endswith(".py") else module for module in case.measures)
    comment = "\n".join(textwrap.wrap(f"{found}", 114, initial_indent="# ", subsequent_indent="# "))
    return (
        f'"""A case of {name} in which answers differ, found by `tandem verify` with --seed {seed}."""\n\n'
        f"from tandem.verification.cases import Case, {type(case.steps).__name__}, check_case\n\n"
        f"DEFINITION = {_quoted(case.definition)}\n\n"
        f"PAYLOADS = (\n{_lines(case.payloads)})\n\n"
        f"{_steps(case.steps)}\n\n\n"
        f"{comment}\n"
        f"def test_{re.sub(r'[^a-z0-9]+', '_', name)}_gives_one_answer() -> None:\n"
        f"    check_case(Case(DEFINITION, PAYLOADS, STEPS{f', {modules!r}' if modules else ''}))\n"
    )


def _steps(steps: LawCase | Schedule) -> str:
    if isinstance(steps, LawCase):
        return f"STEPS = LawCase(measure={steps.measure!r}, parts={steps.parts!r}, by_key={steps.by_key!r})"
    numbers = f"    seed={steps.seed},\n    lanes={steps.lanes!r},\n    max_messages={steps.max_messages},\n"
    return f"STEPS = Schedule(\n{numbers}    steps=(\n{textwrap.indent(_lines(steps.steps), '    ')}    ),\n)"


def _lines(items: Sequence[object]) -> str:
    return "".join(f"    {item!r},\n" for item in items)


def _quoted(text: str) -> str:
    if '"""' in text or "\\" in text or text.endswith('"'):
        return repr(text)
    return f'"""{text}"""'
