"""The definitions that can be asked for, compiled, as long as nothing changes in the store."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.definition.suggestions import suggestion
from tandem.serving.api.problems import Problem
from tandem.serving.questions.selection.naming import compiled_named, registered_names
from tandem.serving.security.principals import Principal

if TYPE_CHECKING:
    from tandem.views.store import ViewStore

__all__ = ["Catalogue"]

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,199}")
"""As definitions may be called; what looks like a file never gets as far as the file system."""


@dataclass
class Catalogue:
    """Definitions by name. Safe to use from several threads."""

    views: ViewStore
    _known: dict[str, tuple[str, CompiledDefinition]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def names(self, principal: Principal) -> list[str]:
        """The names that there are for somebody, sorted."""
        return [name for name in registered_names(self.views) if principal.may_ask(name)]

    def compiled(self, name: str, principal: Principal, mark: str) -> CompiledDefinition:
        """The definition of a name in the version that is served; `mark` is that of the store's state.

        Raises Problem where there is none of that name for whoever asks: the same whether it exists or not.
        """
        if not principal.may_ask(name) or not _NAME.fullmatch(name):
            raise self._unknown(name, principal)
        known = self._known.get(name)
        if known is not None and known[0] == mark:
            return known[1]
        with self._lock:
            if name not in registered_names(self.views):
                raise self._unknown(name, principal)
            found = compiled_named(name, self.views)
            self._known[name] = mark, found
        return found

    def _unknown(self, name: str, principal: Principal) -> Problem:
        return Problem("not-found", f"no definition {name[:200]!r}; {suggestion(name, self.names(principal))}")
