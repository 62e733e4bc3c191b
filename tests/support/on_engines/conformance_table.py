"""The table of docs/runners.md, from the results of the conformance suite: see `make conformance`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from on_engines.conformance import SCENARIOS, Scenario
from on_engines.engines import ENGINES, VARIANTS, Engine

__all__ = ["BEGIN", "END", "placed", "table", "worst"]

ROOT: Final = Path(__file__).parents[3]
BEGIN: Final = "<!-- conformance: begin -->"
END: Final = "<!-- conformance: end -->"
_WORDS: Final = {"passed": "yes", "failed": "**no**", "skipped": "not run"}

Results = Mapping[tuple[str, str], str]
"""(scenario, engine) -> outcome."""


def table(results: Results, scenarios: Sequence[Scenario] = SCENARIOS, engines: Sequence[Engine] = ENGINES) -> str:
    """Markdown: a row a scenario, a column an engine, and what ran."""
    lines = [
        f"| scenario | {' | '.join(engine.title for engine in engines)} |",
        "|---" * (len(engines) + 1) + "|",
    ]
    for scenario in scenarios:
        cells = [_cell(results, scenario, engine) for engine in engines]
        lines.append(f"| {scenario.name} | {' | '.join(cells)} |")
    lines += ["", *(f"- {engine.title}: {engine.version}." for engine in engines)]
    if any(engine.live_flags is None for engine in engines):
        lines.append(
            "- n/a: the scenario needs an unbounded source, which the engine doesn't run; the others ran as backfills."
        )
    for engine in VARIANTS:
        played = [f"{s.name} {_cell(results, s, engine)}" for s in scenarios if s.name in engine.only]
        lines.append(f"- {engine.title}: {', '.join(played)}.")
    return "\n".join(lines) + "\n"


def _cell(results: Results, scenario: Scenario, engine: Engine) -> str:
    if engine.live_flags is None and scenario.bounded is None:
        return "n/a"
    return _WORDS[results.get((scenario.name, engine.name), "skipped")]


def placed(page: str, text: str) -> str:
    """The page with the text between the marks; at its end where it has none yet."""
    before, found, rest = page.partition(BEGIN)
    if not found:
        return f"{page.rstrip()}\n\n{BEGIN}\n{text}{END}\n"
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{text}{END}{after}"


def worst(lines: Iterable[Mapping[str, str]]) -> Results:
    """How each ended, with whatever threshold of layers; one that was run again counts by its last time."""
    last = {(line["scenario"], line["engine"], line["threshold"]): line["outcome"] for line in lines}
    found: dict[tuple[str, str], str] = {}
    for (scenario, engine, _), outcome in last.items():
        found[scenario, engine] = min(found.get((scenario, engine), outcome), outcome)  # failed, passed, skipped
    return found


def main(results: str, page: str) -> None:
    """Put the table of a file of results into a page."""
    lines = map(json.loads, Path(results).read_text(encoding="utf-8").splitlines())
    target = ROOT / page
    target.write_text(placed(target.read_text(encoding="utf-8"), table(worst(lines))), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
