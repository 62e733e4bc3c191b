"""Checks that states which were changed behind the store's back are never answered with."""

from __future__ import annotations

import contextlib

from samples.sales import START, TILE, Sale
from without_runner.worlds import world_of

from tandem.schemas.errors import DamagedStoreError
from tandem.views.answers.all_keys import states_of_all_keys
from tandem.views.answers.point import answer

__all__ = ["check_damage", "check_hidden_row"]


def check_damage() -> None:
    """A state of batch that has another number of events is an error."""
    with world_of(1, lanes=(1,)) as world:
        world.broker.publish(Sale("a", START).payload())
        world.live.pull(0)
        for key in sorted(world.live.pending):
            world.live.fire(key)
        world.serve_live()
        work = world.build()
        assert work is not None
        assert world.publish_batch(work)
        with world.store.database.write() as connection:
            key = connection.exec_driver_sql("SELECT key FROM batch_states").scalar_one()
            connection.exec_driver_sql("UPDATE batch_states SET events = events + 1")
        tile = START // TILE * TILE
        with contextlib.suppress(DamagedStoreError):
            found = answer(world.store, world.compiled, key, tile, tile + TILE)
            raise AssertionError(f"a damaged state was answered with: {found.certificate.events} events")


def check_hidden_row() -> None:
    """A state of live that lies where nobody looks for it is an error of questions over all keys."""
    with world_of(1, lanes=(1,)) as world:
        for shop in "ab":
            world.broker.publish(Sale(shop, START).payload())
            world.live.pull(0)
        for place in sorted(world.live.pending):
            world.live.fire(place)
        world.serve_live()
        with world.store.database.write() as connection:
            change = "UPDATE live_states SET tile = tile + 600000000000 WHERE key = (SELECT min(key) FROM live_states)"
            assert connection.exec_driver_sql(change).rowcount == 1
        tile = START // TILE * TILE
        with contextlib.suppress(DamagedStoreError):
            found = states_of_all_keys(world.store, world.compiled, tile, tile + TILE)
            raise AssertionError(f"all keys were answered without one of them: {found.keys}")
