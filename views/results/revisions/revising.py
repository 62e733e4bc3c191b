"""Derives the next revision of an answer from the last one, or none."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from json.encoder import encode_basestring as _text

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.views.results.clocks import Clocks, Timing, timing_of
from tandem.views.results.revisions.answering import Found, Last

__all__ = ["Revision", "identity_of", "is_held", "revision_of"]


@dataclass(frozen=True, slots=True)
class Revision:
    """The next revision of a window and key, with the last one."""

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
    """The idempotency key of a revision, made of identity and state: each state has one."""
    found, answer = revision.found, revision.found.answer
    # Equals `json.dumps` of the list of them.
    head = f"{_text(compiled.definition.name)}, {_text(name)}, {found.start}, {_text(found.key)}, {number}"
    tail = f'"{revision.timing.name}", {found.end}, {"null" if answer is None else _text(answer)}'
    return hashlib.sha256(f"[{head}, {tail}]".encode()).hexdigest()[:32]
