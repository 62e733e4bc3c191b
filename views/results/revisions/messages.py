"""Messages of revisions, as JSON text.

Answers are stored as JSON, so a message is assembled of texts: encoding values anew takes longer than all else that is
done for a revision.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from decimal import Context, Decimal
from typing import Any, Final

from tandem.schemas.certificate import time_text
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.json_values import compact_json
from tandem.views.answers.reading.scope import Scope
from tandem.views.results.revisions.answering import Found
from tandem.views.results.revisions.revising import Revision

__all__ = ["MessageTexts"]

_EXACT: Final = Context(prec=1_000)

KeyColumns = Callable[[str], Sequence[str]]


class MessageTexts:
    """Makes the messages of one result, of one instant."""

    def __init__(
        self, compiled: CompiledDefinition, name: str, scope: Scope, first: int, columns: KeyColumns | None = None
    ) -> None:
        """`first`: the number of a window's first revision. `columns`: the names of a stored key's values, maybe those
        of an earlier version, whose results are withdrawn.
        """
        self._first, self._columns = first, columns
        definition = compiled.definition
        self._mode = definition.results[name].mode
        self._names = [*definition.measures, *definition.derive_results]
        self._measures = list(definition.measures)
        self._key = [compact_json(column) for column in definition.key]
        self._head = f'"definition":{compact_json(definition.name)},"result":{compact_json(name)},"key":'
        stated = {
            "dead_letters": scope.dead_letters,
            "version": scope.version,
            "publication": scope.publication,
            "boundary": scope.boundary,
            "watermark": _time(scope.watermark) if scope.watermark is not None else None,
        }
        self._tail = compact_json(stated)[1:]

    def text(self, revision: Revision, number: int, base: str | None, identity: str) -> str:
        """The message of a revision of this number. `base`: the answer of the revision before it."""
        found = revision.found
        parts = (
            f'{{"id":"{identity}",{self._head}{self._key_text(found)}',
            f'"start":"{_time(found.start)}","end":"{_time(found.end)}"',
            f'"revision":{number},"timing":"{revision.timing.name}","status":"{found.status}","mode":"{self._mode}"',
            f'"withdrawn":{"true" if found.answer is None else "false"},"events":{found.events}',
            f'"results":{self._results(found, base)}{self._replaces(number, base)}',
            f'"live_events":{found.live_events},"pending_late":{found.pending_late},{self._tail}',
        )
        return ",".join(parts)

    def _key_text(self, found: Found) -> str:
        names, key = self._key, found.key
        if found.answer is None and self._columns is not None:
            names = [compact_json(column) for column in self._columns(key)]
        if len(names) == 1:
            return f"{{{names[0]}:{key[1:-1]}}}"
        values = json.loads(key)
        return "{" + ",".join(f"{n}:{compact_json(value)}" for n, value in zip(names, values, strict=True)) + "}"

    def _results(self, found: Found, base: str | None) -> str:
        if self._mode == "discarding":
            new, old = (json.loads(text) if text is not None else {} for text in (found.answer, base))
            return compact_json({name: _less(new.get(name), old.get(name)) for name in self._measures})
        return "null" if found.shown is None else found.shown

    def _replaces(self, number: int, base: str | None) -> str:
        if self._mode != "retracting":
            return ""
        if number == self._first:
            return ',"replaces":null'
        replaced = "null" if base is None else self._ordered(base)
        return f',"replaces":{{"revision":{number - 1},"results":{replaced}}}'

    def _ordered(self, answer: str) -> str:
        """A stored answer, whose names are sorted, in the definition's order."""
        values = json.loads(answer)
        return compact_json({name: values[name] for name in self._names if name in values})


_time = functools.lru_cache(maxsize=4_096)(time_text)


def _less(new: Any, old: Any) -> Any:
    """The difference of two integers, or of two decimals, which are texts."""
    if new is None and old is None:
        return None
    if isinstance(new, str) or isinstance(old, str):
        return str(_EXACT.subtract(Decimal(new or 0), Decimal(old or 0)))
    return (new or 0) - (old or 0)
