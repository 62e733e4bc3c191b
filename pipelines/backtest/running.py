"""A backtest from flags to its report: reads, judges, scores, and varies one number where that is wanted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tandem.journal.storage.layout import RUNS
from tandem.journal.storage.opening import journal_exists
from tandem.pipelines.backtest.history import History, files_decoded, history_of, journal_decoded
from tandem.pipelines.backtest.judging import Judged, backtest, judging_alone, unit_of
from tandem.pipelines.backtest.scoring import Label, Score, score_of
from tandem.pipelines.backtest.settings import with_settings
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.definition.suggestions import suggestion
from tandem.schemas.errors import UserError
from tandem.schemas.messages import Decoded
from tandem.schemas.rules.compiled import CompiledRule
from tandem.storage.urls import is_url

__all__ = ["Swept", "chosen_rules", "decoded_of", "places_of", "read_history", "swept"]


@dataclass(frozen=True, slots=True)
class Swept:
    """What a rule does with one value of the number that is varied."""

    rule: str
    value: float
    alerts: int
    keys: int
    """That had an alert."""
    score: Score | None
    """None without labels."""


def chosen_rules(rules: Sequence[CompiledRule], names: Sequence[str]) -> tuple[CompiledRule, ...]:
    """The rules of these names, or all. Raises UserError."""
    known = {rule.name: rule for rule in rules}
    for name in names:
        if name not in known:
            raise UserError(f"--rule: there is no rule '{name[:80]}'; {suggestion(name, sorted(known))}")
    return tuple(known[name] for name in dict.fromkeys(names)) if names else tuple(rules)


def places_of(places: Sequence[str]) -> tuple[str | None, list[str]]:
    """(the journal among them, or that of an installation, all others, which are files). Raises UserError for two."""
    journals = {place: found for place in places if (found := _journal_at(place)) is not None}
    if len(journals) > 1:
        raise UserError(f"{', '.join(journals)}: name one journal")
    return next(iter(journals.values()), None), [place for place in places if place not in journals]


def _journal_at(place: str) -> str | None:
    if is_url(place):
        plain = not set("*?[") & set(place)
        candidates = [place.rstrip("/"), f"{place.rstrip('/')}/journal"]
        return next((each for each in candidates if journal_exists(each)), None) if plain else None
    if Path(place).is_dir():
        for folder in (Path(place), Path(place) / "journal"):
            if (folder / RUNS).is_dir():
                return str(folder)
    return None


def decoded_of(compiled: CompiledDefinition, places: Sequence[str], now: int) -> Iterator[Decoded]:
    """What files hold, and the folder of a journal (or the one above it). Raises UserError and JournalError."""
    journal, files = places_of(places)
    if files:
        yield from files_decoded(compiled, files, now)
    if journal is not None:
        yield from journal_decoded(compiled, journal)


def read_history(
    compiled: CompiledDefinition, rules: Sequence[CompiledRule], places: Sequence[str], now: int
) -> History:
    """All events of files or a journal, in the longest unit of time that the rules' windows are made of."""
    compiled = judging_alone(compiled, rules)
    history = history_of(compiled, decoded_of(compiled, places, now), unit_of(compiled.definition.tile, rules))
    if history.amount.last is None:
        raise UserError(
            f"{', '.join(places)}: nothing to judge: of {history.amount.received:,} records the definition counts none"
        )
    return history


def swept(
    compiled: CompiledDefinition,
    history: History,
    rules: Sequence[CompiledRule],
    sweep: tuple[str, Sequence[float]],
    until: int,
    labels: Sequence[Label],
) -> list[Swept]:
    """What the rules do with each value of a parameter or field. Raises UserError for one that none has."""
    name, values = sweep
    found = list[Swept]()
    for value in values:
        setting: tuple[str, Any] = (name, int(value) if value == int(value) else value)
        for judged in backtest(compiled, history, with_settings(compiled, rules, [setting]), until):
            found.append(_swept(judged, value, labels))
    return found


def _swept(judged: Judged, value: float, labels: Sequence[Label]) -> Swept:
    alerts, name = judged.columns, judged.rule.name
    score = score_of(name, judged.alerts, labels) if labels else None
    return Swept(name, value, len(alerts), len(set(alerts.key.tolist())), score)
