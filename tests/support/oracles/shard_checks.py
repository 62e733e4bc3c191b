"""Answers and certificates don't depend on how many shards runs have, and a run that is resumed keeps its number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from samples.sales import SECOND, START, TILE, Sale
from state_machine.story import counted, fire_all, published, roll, send, settle
from without_runner.worlds import World, world_of

from tandem.journal.runs.manifests import resume_run
from tandem.pipelines.unbounded.live_runs import start_live_run
from tandem.transforms.fold.fold import _Fold
from tandem.transforms.tiles import _Route
from tandem.verification.world.live_run import Live
from tandem.views.answers.point import answer

__all__ = ["SHARDS", "check_resumed", "check_shards"]

SHARDS = (1, 2, 4, 8)
_KEYS = 8
_TILES = 3


def _sales(name: str, count: int = 24) -> list[Sale]:
    """Sales of several keys and tiles; some are copies, some conflicts with one of the same key, or of another."""
    plain = [
        Sale(f"{name}{n}", START + n % _TILES * TILE + n * SECOND // 8, f"k{n % _KEYS}", 0.1 + n) for n in range(count)
    ]
    copies, others = plain[::5], [replace(sale, amount=sale.amount + 1) for sale in plain[1::7]]
    elsewhere = [replace(sale, shop=f"k{(n + 5) % _KEYS}") for n, sale in enumerate(plain[2::6])]
    return [*plain, *copies, *others, *elsewhere]


def _told(shards: tuple[int, ...]) -> list[tuple[Any, ...]]:
    """What is served at three times of a story: answers with what their certificates say, but for the runs' names."""
    with world_of(5, lanes=(1,), shards=shards) as world:
        send(world, *_sales("a"))
        fire_all(world)
        told = [_answers(world)]
        roll(world)
        send(world, *_sales("b"), *_sales("a")[::3])
        fire_all(world)
        work = world.build(upto=1)
        assert work is not None
        assert world.publish_batch(work), world.refusals
        told.append(_answers(world))
        world.live = Live(world, 1)
        send(world, *_sales("b")[::2], *_sales("c"))
        settle(world)
        return [*told, _answers(world)]


def _answers(world: World) -> tuple[Any, ...]:
    found = [
        answer(world.store, world.compiled, f'["k{key}"]', START // TILE * TILE, START // TILE * TILE + _TILES * TILE)
        for key in range(_KEYS)
    ]
    return tuple((each.results, replace(each.certificate, batch_run=None, live_run=None)) for each in found)


def check_shards() -> None:
    """One, two, four and eight shards, and others in each run, give equal answers and certificates, conflicts too."""
    wanted = _told((1,))
    assert wanted[-1][0][1].conflicts > 5, "hardly a conflict"
    for shards in (*((number,) for number in SHARDS[1:]), (4, 1, 8, 2)):
        for time, (found, expected) in enumerate(zip(_told(shards), wanted, strict=True)):
            assert found == expected, f"shards {shards}, at time {time}"


def check_resumed() -> None:
    """A run goes on from its runner's state with the shards that its manifest has: nothing is lost or counted twice."""
    with world_of(6, lanes=(1,), shards=(4,)) as world:
        send(world, *_sales("a"))
        fire_all(world)
        manifest = resume_run(world.blobs, world.clock, world.live.run.id, take_over=True)
        live, ref = world.live, start_live_run(world.store, world.blobs, world.home, manifest, world.definition)
        live.route, live.fold = _Route(world.definition, ref.shards, 0), _Fold(world.definition, ref)
        for dofn in (live.route, live.fold):
            dofn.setup()
        send(world, *_sales("a")[::3], *_sales("b"))
        fire_all(world)
        assert counted(world, published(world)) == (0, 0)
        residues = world.store.residues.of_live_run(world.definition.version, live.run.id)
        assert not any(residues.values()), f"residues {residues}"
