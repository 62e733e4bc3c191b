"""Settles alerts when windows are judged again: episodes claim stored identities, and batch decides.

An episode is tentative while the window at which it fires isn't settled. Each settled episode takes the identity of the
oldest that it overlaps and that is unclaimed: CONFIRMED, or without one a new one: RAISED_LATE. Other episodes that
overlap a settled one are MERGED into it, and those that no window supports any more are WITHDRAWN.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["Change", "Computed", "State", "Stored", "settle"]


class State(StrEnum):
    """The state of an episode."""

    TENTATIVE = "TENTATIVE"
    """It rests on live alone, or on batch that doesn't have all of it."""
    CONFIRMED = "CONFIRMED"
    """Batch has it, and an earlier tentative episode had its identity."""
    RAISED_LATE = "RAISED_LATE"
    """Batch has it, and no earlier episode had raised it."""
    WITHDRAWN = "WITHDRAWN"
    """No window of batch supports it."""
    MERGED = "MERGED"
    """It is part of another episode, which batch has."""
    SUPERSEDED = "SUPERSEDED"
    """Its rule was changed or removed."""


ENDED: Final = frozenset({State.WITHDRAWN, State.MERGED, State.SUPERSEDED})
"""States that no episode leaves."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An episode as it is stored; times are starts of windows."""

    id: str
    since: int
    fired: int
    last: int
    resolved: int | None
    state: State


@dataclass(frozen=True, slots=True)
class Computed:
    """An episode as it follows from the current verdicts."""

    since: int
    fired: int
    last: int
    resolved: int | None
    settled: bool
    """Whether the window at which it fires is settled."""


@dataclass(frozen=True, slots=True)
class Change:
    """The new state of an episode."""

    stored: Stored | None
    """None for a new one."""
    computed: Computed | None
    """None for an episode that no verdict supports now; unless settled, it is resolved where it fired."""
    state: State
    into: int | None = None
    """For a merged one, the place of the computed episode that it is part of."""


def settle(stored: Sequence[Stored], computed: Sequence[Computed], settled_to: int) -> list[Change]:
    """The changes of one key's stored episodes, the oldest first, given the computed ones, in order.

    `settled_to`: the start of the last settled window.
    """
    left = [episode for episode in stored if episode.state not in ENDED]
    claims: dict[int, Stored] = {}
    for settled in (True, False):
        for place, episode in enumerate(computed):
            if episode.settled is settled and (found := _oldest(left, episode)) is not None:
                claims[place] = found
                left.remove(found)
    changes = [_claimed(claims.get(place), episode) for place, episode in enumerate(computed)]
    return [*changes, *_unclaimed(left, computed, settled_to)]


def _oldest(left: Sequence[Stored], episode: Computed) -> Stored | None:
    return next((each for each in left if _overlap(each, episode)), None)


def _overlap(stored: Stored, episode: Computed) -> bool:
    return stored.since <= episode.last and episode.since <= stored.last


def _claimed(stored: Stored | None, episode: Computed) -> Change:
    if stored is None:
        return Change(None, episode, State.RAISED_LATE if episode.settled else State.TENTATIVE)
    if stored.state is State.TENTATIVE and episode.settled:
        return Change(stored, episode, State.CONFIRMED)
    return Change(stored, episode, stored.state)


def _unclaimed(left: Sequence[Stored], computed: Sequence[Computed], settled_to: int) -> Iterator[Change]:
    for episode in left:
        over = [place for place, each in enumerate(computed) if each.settled and _overlap(episode, each)]
        if over:
            yield Change(episode, None, State.MERGED, over[0])
        elif episode.state is not State.TENTATIVE or episode.fired <= settled_to:
            yield Change(episode, None, State.WITHDRAWN)
        else:
            yield Change(episode, None, State.TENTATIVE)
