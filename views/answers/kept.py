"""Kept by a process that answers many questions: scopes by the store's mark, results by the states behind them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

from tandem.views.answers.reading.kept_scopes import KeptScopes
from tandem.views.rows import Compiled

__all__ = ["Kept", "KeptResults"]

_MOST: Final = 8_192


@dataclass
class KeptResults:
    """Results of one key and window by the digest of the states that they are merged from.

    Live moves a store on several times a second, but hardly ever the states of a window that is over. To be read only.
    """

    most: int = _MOST
    _kept: dict[tuple[Compiled, bytes], dict[str, Any]] = field(default_factory=dict)

    def of(self, compiled: Compiled, states: Sequence[bytes], merge: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The results of these states, in their order: those of `merge`, or what it returned before."""
        digest = blake2b(digest_size=16)
        for state in states:
            digest.update(len(state).to_bytes(8, "little"))
            digest.update(state)
        place = compiled, digest.digest()
        found = self._kept.get(place)
        if found is None:
            found = merge()
            while len(self._kept) >= self.most:
                self._kept.pop(next(iter(self._kept)), None)
            self._kept[place] = found
        return found


@dataclass(frozen=True)
class Kept:
    """For one store. Safe to use from several threads."""

    scopes: KeptScopes = field(default_factory=KeptScopes)
    results: KeptResults = field(default_factory=KeptResults)
