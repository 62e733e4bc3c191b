"""The models of rules: which windows are judged, by which expression and baseline, and who is notified."""

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
    """A list of dates as a tuple, without duplicates, ascending."""
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
    """Integers as floats."""
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
    """A baseline: a statistic over windows of the same season in earlier periods, from batch alone."""

    season: Season = "hour_of_week"
    """Which windows are comparable: those of the same time of day, of the same time and weekday, or of the same time
    and type of day (workday, Saturday, Sunday or holiday); none: the windows right before."""
    zone: ZoneName = "UTC"
    """The time zone of times of day and weekdays."""
    holidays: Annotated[
        tuple[str, ...], BeforeValidator(_days), AfterValidator(_iso_days), WithJsonSchema(_LISTED)
    ] = ()
    """Dates that count as Sundays for `day_type`: a list of them, or the path of a file with one a line."""
    statistic: Statistic = "median"
    """median (spread: MAD x 1.4826), mean (spread: standard deviation), quantiles (`at`), previous (the last period's
    value), or absolute (`value`, the same for all windows)."""
    periods: Annotated[int, Field(ge=1, le=MOST_PERIODS)] = 8
    """The number of earlier periods that are read."""
    min_periods: Annotated[int, Field(ge=1, le=MOST_PERIODS)] = Field(
        default_factory=lambda data: max((data.get("periods", 1) + 1) // 2, 1)
    )
    """The number of these that must have a value, else there is no baseline; by default half of them."""
    band: Annotated[float, Field(ge=0, le=1_000)] = 3.0
    """The distance of `low` and `high` from the middle, in spreads; for quantiles they are the outer quantiles."""
    min_spread: Annotated[float, Field(ge=0)] = 0.0
    """The least spread, for values that differ less or not at all."""
    at: tuple[Annotated[float, Field(ge=0, le=1)], ...] = (0.05, 0.95)
    """The lower and the upper quantile, for quantiles."""
    value: float | None = None
    """The value, for absolute."""
    without_alerts: bool = False
    """Whether windows for which `expr` holds, judged against all windows before them, are left out of the baseline."""

    @model_validator(mode="before")
    @classmethod
    def _numbers(cls, value: object) -> object:
        """Integers as floats; `previous` has one period unless it says otherwise."""
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
    """Fixed, sliding, or calendar, written as in `windows`."""
    expr: str
    """A boolean expression over measures, derived results, `events`, and `baseline.MEASURE`, with `.spread`, `.low`,
    `.high` and `.periods`. NULL, as without a baseline: the window can't be judged, and changes nothing."""
    baseline: Baseline = Field(default_factory=Baseline)
    """The baseline of `baseline.MEASURE`."""
    for_: Annotated[Duration, Field(alias="for")] = 0
    """How long the expression must hold, in windows of event time, before an alert fires."""
    keep_firing_for: Duration = 0
    """How long an alert goes on after the expression has ceased to hold."""
    params: Annotated[dict[str, float], BeforeValidator(_floats), AfterValidator(_params)] = Field(default_factory=dict)
    """Numbers by name, for expressions as `params.NAME`: `tandem backtest --set` and `--sweep` vary them."""
    recover: str | None = None
    """A boolean expression that ends an alert; by default that `expr` doesn't hold."""
    min_events: Annotated[int, Field(ge=1)] = 1
    """The least number of events of a key in a window; windows with fewer are windows without data."""
    no_data: NoData = "ok"
    """The verdict of a window without data, after a key's first: ok, alert, or keep the alert's state."""
    forget: Duration = 7 * DAY
    """How long a key may be without data; after that it is OK, and its alert ends."""
    early: Duration | None = None
    """How often a window is judged before its end, by the wall clock, if anything changed; by default when it is over,
    at each change after that, and when batch has it."""
    lateness: Duration | None = None
    """How long after a window's end it is settled, as in `results`. By default, and at least, the definition's."""
    since: str | None = Field(default=None, alias="from")
    """The time at or after which the first judged window starts; by default the first window that exists."""
    partial: Literal["judge", "wait"] = "judge"
    """How PARTIAL answers are treated before batch has all of their window: `judge` judges them
    as they are, `wait` doesn't judge them yet."""
    severity: str = "warning"
    """The label `severity` of its alerts."""
    labels: Labels = Field(default_factory=dict)
    """Labels of its alerts, besides alertname, definition, severity and the key's fields."""
    annotations: Labels = Field(default_factory=dict)
    """Texts for people: `{{ NAME }}` is replaced by a result, `baseline.NAME`, `key.FIELD`, `events`, `start`, `end`.
    """
    shadow: bool = False
    """Whether it is judged and recorded, and never sent."""
    inhibited_by: Annotated[tuple[str, ...], BeforeValidator(_names), WithJsonSchema(_LISTED)] = ()
    """Other rules: while an alert of one of them fires for the same key, this rule's aren't sent."""
    group_by: Annotated[tuple[str, ...], BeforeValidator(_names), WithJsonSchema(_LISTED)] = ()
    """Fields of the key: alerts with equal values are sent together; `[]` groups all of the rule's. By default each is
    sent by itself. An Alertmanager groups by itself, and receives each by itself."""
    group_wait: Duration = 30 * SECOND
    """How long the first alert of a group waits for others."""
    group_interval: Duration = 5 * MINUTE
    """How long after a message about a group the next one about new alerts in it waits."""
    to: Actions = ()
    """One output of its alerts, or a list of them."""

    def lateness_of(self, definition: int) -> int:
        """Microseconds after their end at which its windows are settled; `definition`: the definition's own
        lateness.
        """
        return definition if self.lateness is None else self.lateness

    @property
    def is_grouped(self) -> bool:
        """Whether alerts are sent in groups."""
        return "group_by" in self.model_fields_set

    @property
    def outputs(self) -> tuple[Action, ...]:
        """The outputs of its alerts; none for a shadow rule."""
        return () if self.shadow else self.to


def rule_model(path: tuple[Any, ...]) -> type[Model] | None:
    """The model at a path below `rules.NAME`, None for a window's."""
    if not path:
        return Rule
    if path[0] == "to":
        return HttpTarget if path[-2:] and str(path[-1]) in ("webhook", "alertmanager") else Action
    return Baseline if path[0] == "baseline" else None
