"""What a process remembers of the passes that it has written: verdicts and episodes of rules, as the store has them.

It is true while the stored progress of a rule is the one that this process wrote last: every transaction that changes
verdicts or episodes counts in it. A pass compares both in the snapshot that it reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from tandem.schemas.rules.settling import State
from tandem.views.decisions.episodes import is_from, stored_episodes
from tandem.views.decisions.progress import Progress
from tandem.views.decisions.verdicts import KeptVerdicts

__all__ = ["Frame", "Memory", "Remembered"]

_MOST_BYTES: Final = 256 << 20
"""Most bytes of all rules together, about; a rule for which there is no room is read at each pass."""
_OF_KEY: Final = 200
_OF_EPISODE: Final = 1_000

Episodes = dict[str, list[sa.Row[Any]]]
"""By key the episodes that can still change, the oldest first."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What episodes depend on besides verdicts, as starts of windows: while it stays, only keys with other verdicts
    have other episodes.
    """

    first: int
    """The first window."""
    over: int
    """The last one that is over; windows without data count up to it."""
    settled: int
    """The last one that is settled."""


@dataclass
class Remembered:
    """A rule's state after a pass."""

    publication: int
    progress: Progress
    kept: KeptVerdicts
    """Of all keys, at least from the part on that has the last settled window."""
    frame: Frame | None
    """That of the stored episodes; None: they don't show all verdicts yet."""
    stale: set[str] | None = None
    """Keys whose episodes this pass has changed, and which are read at the next one; None: all."""
    episodes: Episodes = field(default_factory=dict)
    """Of all keys but these."""
    open: set[str] = field(default_factory=set)
    """Keys with episodes that time alone may change."""
    is_read: bool = False
    """Whether the episodes of these keys have been read since."""

    def of_keys(self, connection: sa.Connection, name: str, rule: str, keys: Iterable[str] | None) -> Episodes:
        """The episodes of some keys, or of all; those that have changed are read, in the pass's snapshot."""
        self._read(connection, name, rule)
        if keys is None:
            return self.episodes
        return {key: self.episodes[key] for key in keys if key in self.episodes}

    def open_keys(self, connection: sa.Connection, name: str, rule: str) -> Sequence[str]:
        """As `episodes.open_keys`."""
        self._read(connection, name, rule)
        return sorted(self.open)

    def forget_before(self, since: int) -> None:
        """Forget verdicts before a part, and episodes that were resolved by then."""
        if since <= self.kept.since:
            return
        self.kept = self.kept.from_part(since)
        late = {key: [row for row in rows if is_from(row, since)] for key, rows in self.episodes.items()}
        self.episodes = {key: rows for key, rows in late.items() if rows}

    def _read(self, connection: sa.Connection, name: str, rule: str) -> None:
        if self.is_read:
            return
        if self.stale is None:
            self.episodes, self.open, changed = {}, set(), None
        else:
            changed = sorted(self.stale)
            for key in changed:
                self.episodes.pop(key, None)
            self.open -= self.stale
        read = changed is None or bool(changed)
        found = stored_episodes(connection, name, rule, self.kept.since, changed) if read else {}
        self.episodes |= found
        self.open |= {key for key, rows in found.items() if any(map(_goes_on, rows))}
        self.is_read = True

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        episodes = sum(map(len, self.episodes.values()))
        standing = sum(map(len, self.kept.before.values()))
        return int(self.kept.codes.nbytes) + _OF_KEY * (len(self.kept.keys) + standing) + _OF_EPISODE * episodes


def _goes_on(row: sa.Row[Any]) -> bool:
    """Whether time alone may change an episode."""
    return row.resolved is None or row.state == State.TENTATIVE or row.settled_resolved is None


class Memory:
    """By rule what is remembered, within a bound."""

    def __init__(self) -> None:
        self._of: dict[str, Remembered] = {}

    def of(self, rule: str, publication: int, progress: Progress) -> Remembered | None:
        """What is remembered of a rule with this stored progress; forgets it where another process has written, or
        another publication is served.
        """
        held = self._of.get(rule)
        if held is not None and (held.publication, held.progress) != (publication, progress):
            del self._of[rule]
            return None
        return held

    def keep(self, rule: str, held: Remembered) -> None:
        """Remember a rule's state, if there is room for it."""
        others = sum(each.size for name, each in self._of.items() if name != rule)
        if others + held.size <= _MOST_BYTES:
            self._of[rule] = held
        else:
            self._of.pop(rule, None)
