"""What a rule says: which windows are judged by which expression, against what, and who is notified."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from tandem.schemas.definition.model_base import Duration, Model
from tandem.schemas.rules.actions import Action, Actions, HttpTarget
from tandem.schemas.time.durations import DAY, MINUTE, SECOND
from tandem.schemas.time.windows import AnyWindow, ZoneName

__all__ = ["Baseline", "NoData", "Rule", "Season", "Statistic", "rule_model"]

Season = Literal["hour_of_day", "hour_of_week", "day_type", "none"]
Statistic = Literal["median", "mean", "quantiles", "previous", "absolute"]
NoData = Literal["ok", "alert", "keep"]

MOST_PERIODS: Final = 104
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,62}", re.ASCII)
_MOST_LABELS: Final = 32
_MOST_CHARACTERS: Final = 2_000


def _days(value: object) -> object:
    """A list of dates as a tuple of them, each once, ascending."""
    listed = value if isinstance(value, list | tuple) else [value]
    return tuple(sorted(set(listed), key=str))


def _iso_days(days: tuple[str, ...]) -> tuple[str, ...]:
    for day in days:
        try:
            date.fromisoformat(day)
        except ValueError:
            raise ValueError(f"{day[:40]!r} is not a date; write it as 2026-12-25") from None
    return days


def _floats(value: object) -> object:
    """Whole numbers where decimal ones are meant."""
    if not isinstance(value, dict):
        return value
    return {name: float(v) if type(v) is int else v for name, v in value.items()}


def _params(params: dict[str, float]) -> dict[str, float]:
    for name in params:
        if not _LABEL.fullmatch(name):
            raise ValueError(f"{name[:80]!r} is not a parameter's name; allowed are letters, digits and _")
    return params


def _labels(labels: dict[str, str]) -> dict[str, str]:
    if len(labels) > _MOST_LABELS:
        raise ValueError(f"{len(labels)} entries; at most {_MOST_LABELS}")
    for name, text in labels.items():
        if not _LABEL.fullmatch(name):
            raise ValueError(f"{name[:80]!r} is not a label's name; allowed are letters, digits and _")
        if len(text) > _MOST_CHARACTERS:
            raise ValueError(f"'{name}' has {len(text):,} characters; at most {_MOST_CHARACTERS:,}")
    return labels


def _names(value: object) -> object:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


_LISTED: Final[dict[str, Any]] = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Labels = Annotated[dict[str, str], AfterValidator(_labels)]


class Baseline(Model):
    """What is usual: a statistic of the windows of the same season in periods before, of batch alone."""

    season: Season = "hour_of_week"
    """Which windows are alike: those of the same time of day, of the same time and weekday, of the same time and type
    of day (workday, Saturday, Sunday or holiday); none: the windows right before."""
    zone: ZoneName = "UTC"
    """The time zone of times of day and weekdays."""
    holidays: Annotated[
        tuple[str, ...], BeforeValidator(_days), AfterValidator(_iso_days), WithJsonSchema(_LISTED)
    ] = ()
    """Dates that are like Sundays for `day_type`: a list of them, or the path of a file with one a line."""
    statistic: Statistic = "median"
    """median (spread: MAD x 1.4826), mean (spread: standard deviation), quantiles (`at`), previous (the last period's
    value), or absolute (`value`, the same for all)."""
    periods: Annotated[int, Field(ge=1, le=MOST_PERIODS)] = 8
    """How many periods before are looked at."""
    min_periods: Annotated[int, Field(ge=1, le=MOST_PERIODS)] = Field(
        default_factory=lambda data: max((data.get("periods", 1) + 1) // 2, 1)
    )
    """Of these at least so many must have a value, or there is no baseline; by default half of them."""
    band: Annotated[float, Field(ge=0, le=1_000)] = 3.0
    """`low` and `high` are so many spreads from the middle; of quantiles they are the outer ones."""
    min_spread: Annotated[float, Field(ge=0)] = 0.0
    """The least spread, where values differ less or not at all."""
    at: tuple[Annotated[float, Field(ge=0, le=1)], ...] = (0.05, 0.95)
    """Of quantiles the lower and the upper one."""
    value: float | None = None
    """Of absolute: the value."""
    without_alerts: bool = False
    """Windows for which `expr` holds, judged against all windows before them, aren't compared with."""

    @model_validator(mode="before")
    @classmethod
    def _numbers(cls, value: object) -> object:
        """Whole numbers where decimal ones are meant; one period is what `previous` has."""
        if not isinstance(value, dict):
            return value
        floats = {n: float(v) for n, v in value.items() if n in ("band", "min_spread", "value") and type(v) is int}
        at = {"at": tuple(float(q) if type(q) is int else q for q in value["at"])} if _is_list(value.get("at")) else {}
        previous = {"periods": 1} if value.get("statistic") == "previous" and "periods" not in value else {}
        return {**value, **floats, **at, **previous}

    @model_validator(mode="after")
    def _together(self) -> Baseline:
        if self.min_periods > self.periods:
            raise ValueError(f"min_periods, {self.min_periods}, is more than periods, {self.periods}")
        if (self.statistic == "absolute") != (self.value is not None):
            raise ValueError("`value` goes with `statistic: absolute`, and that with it")
        if len(self.at) != 2 or self.at[0] >= self.at[1]:
            raise ValueError("`at` has two quantiles, the lower one first, such as [0.05, 0.95]")
        return self


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


class Rule(Model):
    """One rule: an expression over results of windows, judged for each key; runs of windows for which it holds are
    alerts.
    """

    window: AnyWindow
    """Fixed, sliding, or of a calendar, written as in `windows`."""
    expr: str
    """A boolean expression over measures, derived results, `events`, and `baseline.MEASURE`, with `.spread`, `.low`,
    `.high` and `.periods`. NULL, as without a baseline: the window can't be judged, and changes nothing."""
    baseline: Baseline = Field(default_factory=Baseline)
    """What `baseline` is."""
    for_: Annotated[Duration, Field(alias="for")] = 0
    """How long the expression must hold on, in windows of event time, before an alert fires."""
    keep_firing_for: Duration = 0
    """How long an alert goes on after the expression has stopped to hold."""
    params: Annotated[dict[str, float], BeforeValidator(_floats), AfterValidator(_params)] = Field(default_factory=dict)
    """Numbers by name, which expressions have as `params.NAME`: what `tandem backtest --set` and `--sweep` vary."""
    recover: str | None = None
    """A boolean expression that ends an alert; without it that is `expr` not holding."""
    min_events: Annotated[int, Field(ge=1)] = 1
    """Windows with fewer events of a key are windows without data."""
    no_data: NoData = "ok"
    """What a window without data is, after a key's first: ok, alert, or keep what was."""
    forget: Duration = 7 * DAY
    """A key without data for so long isn't expected any more: its alert ends."""
    early: Duration | None = None
    """How often a window is judged before its end, by the clock, if anything changed; without it when it is over, at
    each change after that, and when batch has it."""
    lateness: Duration | None = None
    """As in `results`: what settles a window. By default, and at least, that of the definition."""
    since: str | None = Field(default=None, alias="from")
    """The first window that is judged starts at this time or after it; by default the first there is."""
    partial: Literal["judge", "wait"] = "judge"
    """What answers are that lack what is known to be missing (PARTIAL), before batch has all of their window: judged as
    they are, or `wait`: they can't be judged."""
    severity: str = "warning"
    """A label."""
    labels: Labels = Field(default_factory=dict)
    """What the alert is labelled with, beside alertname, definition, severity and the key's fields."""
    annotations: Labels = Field(default_factory=dict)
    """Texts for people: `{{ NAME }}` stands for a result, `baseline.NAME`, `key.FIELD`, `events`, `start`, `end`."""
    shadow: bool = False
    """Judged and kept, never sent."""
    inhibited_by: Annotated[tuple[str, ...], BeforeValidator(_names), WithJsonSchema(_LISTED)] = ()
    """Other rules: while an alert of one of them fires for the same key, this one's aren't sent."""
    group_by: Annotated[tuple[str, ...], BeforeValidator(_names), WithJsonSchema(_LISTED)] = ()
    """Fields of the key whose alerts are sent together where they have equal values; of none, `[]`, all of the rule's;
    left out each by itself. An Alertmanager groups by itself, and gets each by itself."""
    group_wait: Duration = 30 * SECOND
    """How long the first alert of a group waits for others."""
    group_interval: Duration = 5 * MINUTE
    """How long after it has been told of a group hears of what is new in it."""
    to: Actions = ()
    """Where alerts are sent, one place or a list of them."""

    def lateness_of(self, definition: int) -> int:
        """Microseconds that its windows wait after their end; `definition`: the definition's own lateness."""
        return definition if self.lateness is None else self.lateness

    @property
    def is_grouped(self) -> bool:
        """Whether alerts wait for others of their group."""
        return "group_by" in self.model_fields_set

    @property
    def outputs(self) -> tuple[Action, ...]:
        """Where alerts are sent; a shadow rule's nowhere."""
        return () if self.shadow else self.to


def rule_model(path: tuple[Any, ...]) -> type[Model] | None:
    """The model that a place below `rules.NAME` stands for, None where it is a window's."""
    if not path:
        return Rule
    if path[0] == "to":
        return HttpTarget if path[-2:] and str(path[-1]) in ("webhook", "alertmanager") else Action
    return Baseline if path[0] == "baseline" else None
