"""The contents of the page of results: the last revision of each window and key, and waiting messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tandem.serving.api.answering import check_key
from tandem.serving.outcomes.result_data import revision_data
from tandem.serving.questions.selection.instants import parse_span
from tandem.serving.questions.selection.naming import key_named
from tandem.views.results.listing import backlog, revisions

if TYPE_CHECKING:
    from tandem.serving.api.answering import Asking

__all__ = ["ResultView", "result_view"]

_MOST: Final = 200


@dataclass(frozen=True, slots=True)
class ResultView:
    """The contents of the page."""

    asked: dict[str, str]
    """Parameters of the URL: result, key, from, to."""
    declared: list[str]
    results: list[dict[str, Any]]
    whole: bool
    """Whether the list is complete."""
    backlog: dict[str, Any] | None
    """The backlog; None without declared results, or where some keys are hidden."""


def result_view(asking: Asking, given: Mapping[str, str]) -> ResultView:
    """The page for the parameters of its URL. Raises Problem, UserError for invalid ones."""
    compiled, visible = asking.compiled, asking.principal.rows.visible(asking.name)
    key = key_named(compiled, given.get("key") or None)
    if key is not None:
        check_key(asking, key)
    span = parse_span(given.get("from") or None, given.get("to") or None)
    with asking.store.views.database.read() as connection:
        rows = revisions(connection, asking.name, given.get("result") or None, key, span, _MOST + 1, visible)
        waits = None if asking.restricted else backlog(connection, asking.name)
    listed = [revision_data(compiled.definition.key, row) for row in rows[:_MOST]]
    for each in listed:
        each["label"] = ", ".join(str(value) for value in each["key"].values()) or "all events"
    return ResultView(
        {name: given.get(name, "") for name in ("result", "key", "from", "to")},
        sorted(compiled.definition.results),
        listed,
        len(rows) <= _MOST,
        waits,
    )
