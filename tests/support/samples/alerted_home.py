"""A home whose rules have alerted: ann's alert confirmed by batch, bob's still tentative, and results of both."""

from __future__ import annotations

from pathlib import Path

from without_runner.alert_stories import AlertStory
from without_runner.result_stories import TEXT, Event

from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import loads

__all__ = ["RULES", "alerted_home", "busy"]

RULES = """\
rules:
  busy: {window: 1m, expr: n >= params.least, params: {least: 2}, severity: page, to: log}
  quiet: {window: 1m, expr: n < 0, shadow: true}
  unusual:
    window: 1m
    expr: n > 2 * baseline.n.high
    baseline: {season: none, periods: 4, min_periods: 3}
    to: log
"""


def alerted_home(home: Path) -> AlertStory:
    """The story, which goes on where a test says so; its view store lies below the home."""
    home.mkdir(parents=True, exist_ok=True)
    measures = "{n: count, amount: {sum: amount}}"
    text = TEXT.format(result="{window: 1m, to: log}", tile="1m", lateness="0s", measures=measures) + RULES
    story = AlertStory(home / "views.db", compile_definition(loads(text)), text)
    story.serve()
    busy(story, 0, "ann")
    story.watermark(1)
    story.deliver()
    story.watermark(2)
    story.batch(1, 2)
    story.deliver()
    busy(story, 2, "bob", 2)
    story.watermark(3)
    story.deliver()
    return story


def busy(story: AlertStory, minute: float, user: str, generation: int = 1) -> None:
    """Two events of a user, which the rule `busy` takes for an alert."""
    story.live(*(Event(minute + part, user=user, generation=generation) for part in (0.1, 0.2)))
