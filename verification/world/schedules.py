"""Schedules: the possible acts of a runner, a broker and publishers on a sample of events, drawn from one number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from tandem.schemas.definition.loading import Definition
from tandem.verification.deliveries import DELIVERIES
from tandem.verification.oracle.oracle import Event

__all__ = ["Schedule", "Step", "draw_schedule"]

Step = tuple[str, int]
"""Kind and pick, for tandem.verification.world.world.World.step, or for Delivery.step if the kind is in DELIVERIES."""

_SIZES: Final = (6, 12, 12, 30)
"""Adjacent events of one schedule; as many may be from elsewhere."""
_BETWEEN: Final = (
    *["pull"] * 10,
    *["fire"] * 7,
    *["roll"] * 3,
    *["wait", "bundle fails", "pane fails", "reader dies", "reader dies"],
    *["restart", "build", "publish batch", "publish batch"],
)
_DELIVERIES: Final = (*["deliver"] * 5, *["deliver later"] * 2, *DELIVERIES)
_PICKS: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Schedule:
    """One run of the world from beginning to end."""

    seed: int
    """Decides the choices that steps leave open."""
    lanes: tuple[int, ...]
    """Possible numbers of a run's lanes."""
    max_messages: int
    """Most messages in one pull."""
    steps: tuple[Step, ...]


def draw_schedule(definition: Definition, events: Sequence[Event | None], random: Random) -> Schedule:
    """A schedule of some of the payloads, which are given by the event of each (None: none that counts).

    Payloads are sent in the order of their event times, each with a delay: none, one within the out-of-orderness,
    one within the lateness, or one beyond it. Some are sent again. Between them come pulls, panes, crashes, restarts,
    generations, batch runs and publications, and deliveries where the definition has results or rules.
    """
    lanes = random.choice([(1,), (2,), (3,), (1, 2, 3)])
    chosen = _neighbours(events, random.choice(_SIZES), random)
    steps: list[Step] = []
    between = _BETWEEN + _DELIVERIES if definition.results or definition.rules else _BETWEEN
    # one in four schedules rarely rolls and publishes
    eager = random.choice([0.3, 0.6, 0.6, 0.75])
    for index in _arrivals(definition, events, chosen, random):
        steps.append(("send", index))
        while random.random() < eager:
            steps.append((random.choice(between), random.randrange(_PICKS)))
    return Schedule(random.randrange(_PICKS), lanes, random.choice([1, 4, 4, 50]), tuple(steps))


def _neighbours(events: Sequence[Event | None], size: int, random: Random) -> list[int]:
    """Payloads of adjacent events, by key or by time, and some from elsewhere."""
    order = list(range(len(events)))
    if random.random() < 0.5:
        order.sort(key=lambda index: (event.time if (event := events[index]) is not None else 0, index))
    first = random.randrange(len(order))
    chosen = [order[(first + step) % len(order)] for step in range(min(size, len(order)))]
    # events from elsewhere advance the watermark, so that some of these are late
    elsewhere = sorted(set(range(len(events))) - set(chosen))
    return chosen + random.sample(elsewhere, min(random.choice([0, 3, size]), len(elsewhere)))


def _arrivals(
    definition: Definition, events: Sequence[Event | None], chosen: Sequence[int], random: Random
) -> list[int]:
    """The payloads in the order of their arrival, including copies."""
    known = [event.time for index in chosen if (event := events[index]) is not None]
    low, high = min(known, default=0), max(known, default=0)
    tile, lateness = definition.tile, definition.lateness
    within = max(definition.source.out_of_orderness, 1)
    delays = [0, 0, within, tile + within, tile + lateness + within, 3 * (tile + lateness + within)]
    arrivals: list[tuple[int, int, int]] = []
    for index in chosen:
        event = events[index]
        time = event.time if event is not None else random.randint(low, high)
        for copy in range(random.choice([1, 1, 1, 2, 3])):
            delay = random.randint(0, random.choice(delays))
            # one in six comes after all others
            at_last = random.random() < 1 / 6
            arrivals.append((high + delay if at_last else time + delay, copy, index))
    return [index for _, _, index in sorted(arrivals)]
