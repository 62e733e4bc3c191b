"""The parameters of questions, for the OpenAPI document and for `serving.questions`.

They have the names of the flags of `tandem query` and `tandem export`.
"""

from __future__ import annotations

from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tandem.serving.questions.answers.asking import SelectFlags
from tandem.serving.questions.selection.session_spans import SessionFlags
from tandem.serving.questions.selection.spans import TimeFlags

__all__ = ["AnswerParameters", "ExportParameters", "FreshnessParameters", "KeyParameters", "MessageParameters",
           "PointParameters", "SeriesParameters", "SessionParameters", "StepParameters", "TimeParameters",
           "TopParameters"]  # fmt: skip

_LONGEST: Final = 2_000
_LONGEST_WORD: Final = 100
_Text = str | None
_CONFIG: Final = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _text(description: str, example: str | None = None, *, longest: int = _LONGEST) -> Any:
    examples = [example] if example is not None else None
    return Field(default=None, max_length=longest, description=description, examples=examples)


def _word(description: str, example: str | None = None) -> Any:
    """A time, a duration, a name."""
    return _text(description, example, longest=_LONGEST_WORD)


class TimeParameters(BaseModel):
    """Parameters that choose a time."""

    model_config = _CONFIG

    window: _Text = _word("a duration; a window's name; day, week, month, quarter, year", "1h")
    at: _Text = _word("the window that is current then (default: now)", "2026-01-05T12:00Z")
    start: _Text = Field(default=None, alias="from", max_length=_LONGEST_WORD, description="start of a span, ISO 8601")
    end: _Text = Field(default=None, alias="to", max_length=_LONGEST_WORD, description="its end, exclusive")
    since: _Text = _word("all since a time, the start of a day ... year, or ever", "ever")
    zone: _Text = _word("time zone of times and calendar windows (default: UTC)", "Europe/Berlin")
    first_day: _Text = _word("first day of weeks (default: monday)", "monday")
    measures: _Text = _text("these results only, NAME,...")

    def times(self, now: int) -> TimeFlags:
        """The times, for `question_of`."""
        return TimeFlags(now, self.window, self.at, self.start, self.end, self.since, self.zone, self.first_day)

    def select(self) -> SelectFlags:
        """The wanted results, for `question_of`."""
        return SelectFlags(measures=self.measures)

    def asked(self) -> SessionFlags:
        """No flags of sessions, for `question_of`."""
        return SessionFlags()


class AnswerParameters(TimeParameters):
    """Parameters of the answer of one key; no key for a definition without one."""

    key: _Text = _text("JFK,UA or origin=JFK,carrier=UA or a JSON array", "home")

    def select(self) -> SelectFlags:
        """Key and results, for `question_of`."""
        return SelectFlags(self.key, self.measures)


class SeriesParameters(AnswerParameters):
    """Parameters of the answers of one key, step by step."""

    step: _Text = _word("a duration, or day ... year (default: the tile)", "1h")
    where: _Text = _text("steps for whose results this expression is true")

    def times(self, now: int) -> TimeFlags:
        """The times, for `question_of`."""
        return TimeFlags(
            now, self.window, self.at, self.start, self.end, self.since, self.zone, self.first_day, self.step
        )

    def select(self) -> SelectFlags:
        """Key, results and condition, for `question_of`."""
        return SelectFlags(self.key, self.measures, self.where)


class FreshnessParameters(BaseModel):
    """Parameters that require a fresh answer, or one of a past publication."""

    model_config = _CONFIG

    as_of: int | None = Field(
        default=None, ge=1, le=2**62, description="number of a publication: what batch had then, which never changes"
    )
    max_staleness: _Text = _word("refuse an answer that knows less of its window than up to so long ago", "30s")
    wait: Literal["final"] | None = Field(default=None, description="wait until the answer is FINAL")
    wait_seconds: float = Field(
        default=10.0, ge=0, le=60, description="so long at most; then the answer comes with the status that it has"
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.as_of is not None and (self.max_staleness is not None or self.wait is not None):
            raise ValueError("as_of never changes: max_staleness and wait don't go with it")
        return self


class PointParameters(AnswerParameters, FreshnessParameters):
    """Parameters of the answer of one key for programs."""


class StepParameters(SeriesParameters, FreshnessParameters):
    """Parameters of a series for programs."""


class SessionParameters(AnswerParameters):
    """Parameters of the sessions of one key."""

    session_at: _Text = _word("the session that is current then")
    gap: _Text = _word("a duration (default: the definition's)", "30m")
    where: _Text = _text("sessions for whose results this expression is true")

    def select(self) -> SelectFlags:
        """Key and results, for `question_of`."""
        return SelectFlags(self.key, self.measures, self.where)

    def asked(self) -> SessionFlags:
        """The sessions, for `question_of`."""
        return SessionFlags(self.session_at is None, self.session_at, self.gap)


class TopParameters(TimeParameters):
    """Parameters of the answers of all keys, ranked by one result."""

    by: _Text = _word("the result that keys are in the order of (default: the first)")
    where: _Text = _text("keys for whose results this expression is true")
    least: bool = Field(default=False, description="the least first")
    limit: int = Field(default=10, ge=1, le=10_000, description="keys at most")

    def select(self) -> SelectFlags:
        """Condition, results and ranking, for `question_of`."""
        top, bottom = (None, self.limit) if self.least else (self.limit, None)
        return SelectFlags(None, self.measures, self.where, self.by, top, bottom)


class KeyParameters(BaseModel):
    """Parameters of a search for keys."""

    model_config = _CONFIG

    text: _Text = _text("keys one of whose values holds this text, in any case", "ho")
    limit: int = Field(default=100, ge=1, le=10_000, description="keys at most")
    after: _Text = _text("where the page before ended: its `next`")


class ExportParameters(BaseModel):
    """Parameters of the answers of every key and step."""

    model_config = _CONFIG

    format: Literal["jsonl", "csv", "parquet", "arrow"] = Field(default="jsonl", description="how they are written")
    step: _Text = _word("span of an answer (default: the tile)", "1h")
    window: _Text = _word("instead: day, week, month, quarter, year, or a window's name")
    start: _Text = Field(
        default=None, alias="from", max_length=_LONGEST_WORD, description="start of a span (default: all)"
    )
    end: _Text = Field(default=None, alias="to", max_length=_LONGEST_WORD, description="its end, exclusive")
    zone: _Text = _word("time zone of times and of the calendar (default: UTC)")
    first_day: _Text = _word("first day of weeks (default: monday)")
    key: _Text = _text("of this key only")
    measures: _Text = _text("these results only, NAME,...")
    where: _Text = _text("rows only for whose results this expression is true")
    limit: int = Field(default=100_000, ge=1, le=100_000, description="rows of a page at most")
    after: _Text = _text("where the page before ended: the `after` of its `Link`")

    def times(self, now: int) -> TimeFlags:
        """The times, for `export_of`."""
        return TimeFlags(
            now, window=self.window, start=self.start, end=self.end, zone=self.zone, first_day=self.first_day,
            step=self.step,
        )  # fmt: skip

    def select(self) -> SelectFlags:
        """Key, condition and results, for `export_of`."""
        return SelectFlags(self.key, self.measures, self.where)


class MessageParameters(AnswerParameters):
    """Parameters of the raw messages behind an answer."""

    limit: int = Field(default=100, ge=1, le=1_000, description="messages at most")
    after: _Text = _text("where the page before ended: its `next`")
