"""Scenarios over a world, drawn or written down, each checked throughout."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from breaking.torn_pointer import torn_publish
from oracles.parity_checks import check_end, check_honesty, check_step
from samples.sales import LATENESS, SECOND, START, TILE, Sale

from tandem.journal.runs.generations import next_generation
from tandem.views.publishing.publications import Publishing
from without_runner.worlds import STEPS, World, world_of

__all__ = [
    "Steps",
    "check_finality",
    "check_late_copy",
    "check_late_pane",
    "check_publishing",
    "check_scenarios",
    "draw_steps",
    "run_scenario",
]

Steps = Sequence[tuple[str, int]]
"""Kind and pick of each step."""


def draw_steps(seed: int, length: int = 40) -> list[tuple[str, int]]:
    """Steps of a scenario from one number."""
    random = Random(seed)
    return [(random.choice(STEPS), random.randrange(1 << 16)) for _ in range(length)]


def run_scenario(seed: int, steps: Steps, **options: Any) -> dict[str, int]:
    """Carry the steps out, check after each and at the end. Returns what happened how often, to count coverage."""
    with world_of(seed, **options) as world:
        for kind, pick in steps:
            world.step(kind, pick)
            if kind not in ("publish", "wait", "roll"):
                check_step(world)
        midway = world.boundary
        check_end(world)
        copies = world.sold()
        return {
            "boundary midway": midway,
            "late": sum(copy.late for copy in copies),
            "copies": len(copies) - len({copy.sale for copy in copies}),
            "generations": len({copy.generation for copy in copies}),
            "publications": len(world.store.publishing.publications(world.definition.name)),
            "batch runs": len(world.built),
            "tiles cleared": sum(state.timer is None for state in world.live.runner.values()),
            "refusals": len(world.refusals),
        }


def check_scenarios(seeds: Iterable[int]) -> None:
    """Several scenarios; the first that shows something ends it."""
    for seed in seeds:
        run_scenario(seed, draw_steps(seed))


def check_finality(seeds: Iterable[int]) -> int:
    """No answer is FINAL while something that was taken in is missing in it. Returns how many were FINAL on the way."""
    final = 0
    for seed in seeds:
        with world_of(seed, bad=False) as world:
            for kind, pick in draw_steps(seed, 60):
                world.step(kind, pick)
                if kind in ("publish batch", "restart", "wait"):
                    for key in sorted(world.live.pending):
                        world.live.fire(key)
                    final += check_honesty(world)
            world.live.drain()
            check_honesty(world)
    return final


def check_late_copy(first: str = "late", lead: int = 100 * SECOND) -> None:
    """The lane that is ahead takes a copy in as late, in generation 1; the lane behind counts another in 2."""
    with world_of(1, lanes=(2,)) as world:
        ahead, behind, sale = 0, 1, Sale("x", START)
        for lane in (ahead, behind):
            world.live.pull(lane)
        world.broker.publish(Sale("far", START + lead).payload())
        world.live.pull(ahead)
        world.broker.publish(sale.payload())
        world.clock.advance(SECOND)  # by now others see how far this lane is
        # the bundle of the late segment succeeds at once, or fails and comes again when the other copy has counted
        world.live.pull(ahead, None if first == "late" else "bundle")
        for key in sorted(world.live.pending):
            world.live.fire(key)
        next_generation(world.blobs, world.clock, 1, "test")
        world.clock.advance(SECOND)
        world.live.pull(behind)
        world.broker.publish(sale.payload())
        world.live.pull(behind)
        for key in sorted(world.live.pending):
            world.live.fire(key)
        world.broker.publish(Sale("farther", START + lead).payload())
        for _ in range(3):
            world.live.pull(behind)
            world.clock.advance(SECOND)
        assert [(copy.generation, copy.late) for copy in world.sold() if copy.sale == sale] == [(1, True), (2, False)]
        check_end(world)


def check_late_pane() -> None:
    """An event in time, but late for its window, whose pane fires when the watermark is far past the lateness."""
    with world_of(2, lanes=(1,)) as world:
        live = world.live

        def send(sale: Sale) -> None:
            world.broker.publish(sale.payload())
            for _ in range(3):
                live.pull(0)
                world.clock.advance(SECOND)

        send(Sale("first", START))
        live.fire((START, 0))
        send(Sale("over", START + 18 * SECOND))
        live.fire((START + TILE, 0))
        assert live.watermark is not None
        assert START + TILE <= live.watermark < START + TILE + LATENESS
        send(Sale("straggler", START + SECOND))
        send(Sale("far", START + 100 * SECOND))
        assert live.watermark > START + TILE + LATENESS + TILE
        check_end(world)


def check_publishing(tear: bool = False) -> None:
    """A question while the pointer moves gets the answers from before or from after; here they are equal.

    `tear`: move it in two halves, as only the test of this test may.
    """
    with world_of(4, lanes=(1,)) as world:
        for number in range(6):
            world.broker.publish(Sale(f"s{number}", START + number).payload())
            if number == 3:
                world.live.readers[0].request_roll()
            world.clock.advance(SECOND)
            world.live.pull(0)
        world.live.drain()
        world.step("serve", 0)
        seen = [world.answers()]
        work = world.build(upto=1)
        assert work is not None
        asking, stop = threading.Thread(target=lambda: _ask(world, seen, stop)), threading.Event()
        asking.start()
        publish = torn_publish(lambda: seen.append(world.answers())) if tear else Publishing.publish
        name, version = world.definition.name, world.definition.version
        publish(world.store.publishing, name, version, work.batch_run, work.live_run)
        stop.set()
        asking.join()
        seen.append(world.answers())
        assert world.boundary == 1
        assert all(answers == seen[0] for answers in seen), "an answer was neither the old one nor the new one"
        assert sum(row["events"] for row in seen[0].values()) == 6


def _ask(world: World, seen: list[Any], stop: threading.Event) -> None:
    while not stop.is_set():
        seen.append(world.answers())
