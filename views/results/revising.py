"""What becomes of an answer that is compared with the last revision: the next one, and the message that says it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any, Final

from tandem.schemas.certificate import time_text
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.views.answers.reading import Scope
from tandem.views.results.answering import Found, Last
from tandem.views.results.clocks import Clocks, Timing, timing_of

__all__ = ["Revision", "is_held", "message_of", "revision_of"]

_EXACT: Final = Context(prec=1_000)


@dataclass(frozen=True, slots=True)
class Revision:
    """What is to be the next revision of a window and key, and the last one."""

    found: Found
    timing: Timing
    last: Last | None


def revision_of(
    compiled: CompiledDefinition, name: str, clocks: Clocks, found: Found, last: Last | None
) -> Revision | None:
    """The next revision of a window and key, None where there is nothing to send."""
    if found.answer is None and (last is None or last.answer is None):
        return None
    changed = last is None or (found.answer, found.end) != (last.answer, last.end)
    before = Timing(last.timing) if last is not None else None
    timing = timing_of(clocks, found.closes, before, changed, found.pending_late > 0)
    return None if timing is None else Revision(found, timing, last)


def is_held(compiled: CompiledDefinition, name: str, revision: Revision) -> bool:
    """Whether the trigger holds a revision back until its window is over."""
    return revision.timing is Timing.EARLY and compiled.definition.results[name].trigger.early is None


def identity_of(compiled: CompiledDefinition, name: str, revision: Revision, number: int) -> str:
    """The idempotency key of a revision: made of identity and state, so that one state has one."""
    found = revision.found
    state = [compiled.definition.name, name, found.start, found.key, number, revision.timing.name, found.end]
    text = json.dumps([*state, found.answer], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def message_of(
    compiled: CompiledDefinition, name: str, scope: Scope, revision: Revision, number: int, base: str | None
) -> dict[str, Any]:
    """What is sent as a revision of this number. `base`: the answer that the revision before it had."""
    found, definition = revision.found, compiled.definition
    result = definition.results[name]
    message: dict[str, Any] = {
        "id": identity_of(compiled, name, revision, number),
        "definition": definition.name,
        "result": name,
        "key": dict(zip(definition.key, json.loads(found.key), strict=True)),
        "start": time_text(found.start),
        "end": time_text(found.end),
        "revision": number,
        "timing": revision.timing.name,
        "status": found.status,
        "mode": result.mode,
        "withdrawn": found.answer is None,
        "events": found.events,
        "results": _results(compiled, result.mode, found.answer, base),
    }
    if result.mode == "retracting":
        replaced = _ordered(compiled, base) if base is not None else None
        message["replaces"] = {"revision": number - 1, "results": replaced} if number > 1 else None
    told = {"live_events": found.live_events, "pending_late": found.pending_late, "dead_letters": scope.dead_letters}
    watermark = time_text(scope.watermark) if scope.watermark is not None else None
    made_of = {"version": scope.version, "publication": scope.publication, "boundary": scope.boundary}
    return {**message, **told, **made_of, "watermark": watermark}


def _results(compiled: CompiledDefinition, mode: str, answer: str | None, base: str | None) -> dict[str, Any] | None:
    if mode == "discarding":
        new, old = (json.loads(text) if text is not None else {} for text in (answer, base))
        return {name: _less(new.get(name), old.get(name)) for name, _ in compiled.definition.measures.items()}
    return None if answer is None else _ordered(compiled, answer)


def _ordered(compiled: CompiledDefinition, answer: str) -> dict[str, Any]:
    """In the definition's order."""
    values = json.loads(answer)
    names = [*compiled.definition.measures, *compiled.definition.derive_results]
    return {name: values[name] for name in names if name in values}


def _less(new: Any, old: Any) -> Any:
    """The difference of two integers, or of two decimals, which are texts."""
    if new is None and old is None:
        return None
    if isinstance(new, str) or isinstance(old, str):
        return str(_EXACT.subtract(Decimal(new or 0), Decimal(old or 0)))
    return (new or 0) - (old or 0)
