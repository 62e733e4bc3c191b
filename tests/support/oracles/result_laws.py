"""What holds of everything that a receiver gets, and that the last revisions are the answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import sqlalchemy as sa
from without_runner.result_stories import Story

from tandem.schemas.json_values import plain_value
from tandem.schemas.time.instants import instant_of
from tandem.schemas.time.windows import CalendarWindow, CumulativeWindow, SessionWindow
from tandem.views.answers.all_steps import all_answers
from tandem.views.answers.session_rows import all_sessions
from tandem.views.results.clocks import Timing
from tandem.views.storage.tables import batch_runs, publications


def by_identity(messages: Sequence[dict[str, Any]]) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
    """The messages of each window and key, in the order in which they came; copies of one are left out."""
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for message in messages:
        mine = found.setdefault((message["result"], message["start"], json.dumps(message["key"])), [])
        if message["id"] not in {other["id"] for other in mine}:
            mine.append(message)
    return found


def check_revisions(messages: Sequence[dict[str, Any]]) -> None:
    """Revisions count on, timing never falls, neighbours differ, and one state has one id."""
    ids: dict[str, dict[str, Any]] = {}
    for message in messages:
        known = ids.setdefault(message["id"], message)
        assert known == message, "one id for two states"
    for mine in by_identity(messages).values():
        assert [message["revision"] for message in mine] == list(range(1, len(mine) + 1)), mine
        for before, after in pairwise(mine):
            assert Timing[before["timing"]] <= Timing[after["timing"]], mine
            same = [(m["timing"], m["results"], m["end"], m["withdrawn"]) for m in (before, after)]
            assert same[0] != same[1] or after["mode"] == "discarding", mine


def check_received(story: Story) -> None:
    """The last revision of each window and key, and no other, is the last one that was received of it."""
    last = {places[-1]["id"] for places in by_identity(story.output.sent).values()}
    assert last == story.last_ids(), "a last revision was written and never sent, or another one was sent after it"


def check_final(story: Story) -> None:
    """Whatever was sent as final was settled in what was served: by the journal at the boundary, lateness included."""
    result = story.compiled.definition.results["r"]
    waits = result.lateness_of(story.compiled.definition.lateness)
    waits += result.window.gap if isinstance(result.window, SessionWindow) else 0
    with story.store.database.read() as connection:
        runs = sa.select(publications.c.ordinal, batch_runs.c.journal_until)
        rows = connection.execute(runs.join(batch_runs, batch_runs.c.ordinal == publications.c.batch_run))
        until = {row.ordinal: row.journal_until for row in rows}
    for message in story.output.sent:
        if message["timing"] == "FINAL":
            settled = instant_of(message["end"]) + waits
            assert settled <= (until.get(message["publication"]) or 0), f"final too early: {message}"


def check_answers(story: Story) -> None:
    """Once nothing is due, what was sent last of each window and key is the answer."""
    assert story.left() == 0
    sent = {place: values for place, values in story.last().items() if values is not None}
    assert sent == answers(story)


def answers(story: Story) -> dict[tuple[int, str], Any]:
    """By start and key what is answered now, as JSON."""
    compiled = story.compiled
    window = compiled.definition.results["r"].window
    if isinstance(window, SessionWindow):
        rows = list(all_sessions(story.store, compiled, window.gap))
    elif isinstance(window, CalendarWindow):
        rows = list(all_answers(story.store, compiled, window.periods))
    elif isinstance(window, CumulativeWindow):
        raise AssertionError("no results of cumulative windows")
    elif window.every == window.size:
        rows = list(all_answers(story.store, compiled, window.size))
    else:
        return _sliding(story)
    return {(row.start, row.key): plain_value(row.results) for row in rows}


def _sliding(story: Story) -> dict[tuple[int, str], Any]:
    from tandem.views.answers.point import answer
    from tandem.views.results.due.windows import held_windows

    result, tile = story.compiled.definition.results["r"], story.compiled.definition.tile
    found = {}
    for row in all_answers(story.store, story.compiled):
        for start, end in held_windows(result, row.start, tile):
            found[start, row.key] = plain_value(answer(story.store, story.compiled, row.key, start, end).results)
    return found


def added_up(messages: Sequence[dict[str, Any]]) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Of discarding results the sums of all that was sent."""
    sums: dict[tuple[str, str, str], dict[str, Any]] = {}
    for place, mine in by_identity(messages).items():
        names = mine[0]["results"]
        sums[place] = {name: int(sum(Decimal(m["results"][name] or 0) for m in mine)) for name in names}
    return sums
