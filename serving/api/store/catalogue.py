"""The compiled definitions of the store, cached until it changes."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.suggestions import suggestion
from tandem.serving.api.problems import Problem
from tandem.serving.questions.selection.naming import (
    load_published,
    registered,
    registered_names,
    registered_text,
)
from tandem.serving.security.principals import Principal

if TYPE_CHECKING:
    from tandem.views.store import ViewStore

__all__ = ["Catalogue"]

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,199}")
"""Valid names of definitions; anything like a file name is refused before it reaches the file system."""


_PUBLISHED: Final = 256
"""Definitions of past publications that are kept."""


@dataclass(frozen=True, slots=True)
class _Known:
    mark: str
    text: str
    compiled: CompiledDefinition


@dataclass
class Catalogue:
    """Definitions by name. Safe to use from several threads."""

    views: ViewStore
    _known: dict[str, _Known] = field(default_factory=dict)
    _published: dict[tuple[str, int], tuple[str, CompiledDefinition]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def names(self, principal: Principal) -> list[str]:
        """The names that the caller may see, sorted."""
        return [name for name in registered_names(self.views) if principal.may_ask(name)]

    def compiled(self, name: str, principal: Principal, mark: str) -> CompiledDefinition:
        """The definition of a name in the served version; `mark`: of the store's state.

        Raises Problem for a name that the caller may not see, or that doesn't exist: the same for both.
        """
        if not principal.may_ask(name) or not _NAME.fullmatch(name):
            raise self._unknown(name, principal)
        known = self._known.get(name)
        if known is not None and known.mark == mark:
            return known.compiled
        with self._lock:
            return self._looked_up(name, principal, mark)

    def kept(self, name: str, principal: Principal, mark: str) -> CompiledDefinition | None:
        """The definition if it is known at this mark, without asking the store; None also where the caller may not see
        it.
        """
        known = self._known.get(name)
        return known.compiled if known is not None and known.mark == mark and principal.may_ask(name) else None

    def published(self, name: str, publication: int, mark: str) -> CompiledDefinition:
        """The definition in the version that a publication served. Raises UserError for an unknown publication."""
        found = self.kept_published(name, publication, mark)
        if found is None:
            found = compile_definition(load_published(name, publication, self.views))
            if len(self._published) >= _PUBLISHED:
                self._published.clear()
            self._published[name, publication] = mark, found
        return found

    def kept_published(self, name: str, publication: int, mark: str) -> CompiledDefinition | None:
        """As `published` if it is known at this mark, without asking the store; else None."""
        known = self._published.get((name, publication))
        return known[1] if known is not None and known[0] == mark else None

    def _looked_up(self, name: str, principal: Principal, mark: str) -> CompiledDefinition:
        """The cached definition, checked at a new mark: live changes the mark several times a second, but the text
        hardly ever, so only the text is read again.
        """
        known = self._known.get(name)
        if known is not None and known.mark == mark:  # another thread has read it meanwhile
            return known.compiled
        text = self.views.definitions.served_text(name)
        if text is None:  # nothing is published under it: it may be registered, or not be there at all
            if name not in registered_names(self.views):
                raise self._unknown(name, principal)
            text = registered_text(name, self.views)
        same = known is not None and known.text == text
        compiled = known.compiled if known is not None and same else compile_definition(registered(name, text))
        self._known[name] = _Known(mark, text, compiled)
        return compiled

    def _unknown(self, name: str, principal: Principal) -> Problem:
        return Problem("not-found", f"no definition {name[:200]!r}; {suggestion(name, self.names(principal))}")
