"""What a savepoint, an upgrade from it and a drain do to answers and certificates, on a real Flink."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from on_engines.flink_worlds import FlinkWorld

from tandem.schemas.certificate import Certificate, Status
from tandem.views.answers.all_keys import states_of_all_keys

pytestmark = [
    pytest.mark.xdist_group("flink"),
    pytest.mark.timeout(900),
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


@dataclass(frozen=True)
class Told:
    """All answers, and the certificate of all of them together."""

    results: Mapping[Any, Any]
    certificate: Certificate

    @classmethod
    def by(cls, world: FlinkWorld) -> Told:
        view = world.bench.view(world.definition)
        tile, results = view.compiled.definition.tile, view.results()
        starts = [start for _, start in results]
        whole = states_of_all_keys(view.store, view.compiled, min(starts), max(starts) + tile)
        return cls(results, whole.certificate)


def counted(told: Told) -> dict[str, Any]:
    """What a certificate says but for how far the run's clock has come."""
    names = ("status", "live_run", "events", "batch_events", "in_flight", "residue", "missing", "dead_letters")
    return {name: getattr(told.certificate, name) for name in names}


def savepoint(world: FlinkWorld) -> None:
    """Stop the job with one; its launcher ends well."""
    live = world.live
    assert live is not None
    world.cluster.rest.savepoint(world.job, f"file://{world.stage.home}/flink/{world.run}", stop=True)
    assert live.end() == 0, live.said()
    assert "Traceback" not in live.said()


def other_version(world: FlinkWorld) -> Path:
    """The definition with tiles of another length."""
    text = world.definition.read_text(encoding="utf-8")
    assert "tile: " in text
    line = next(line for line in text.splitlines() if line.startswith("tile: "))
    path = world.definition.with_name("other.yaml")
    path.write_text(text.replace(line, "tile: 3h"), encoding="utf-8")
    return path


def test_savepoint_upgrade_and_drain(world: FlinkWorld) -> None:
    graph = str(world.stage.folder / "graph.json")
    world.up("--save", graph)
    world.publish()
    world.caught_up()
    world.publish()
    world.caught_up()
    run, before = world.run, Told.by(world)
    assert before.certificate.status is Status.PROVISIONAL
    assert (before.certificate.in_flight, before.certificate.batch_events) == (0, 0)

    # stopped: what was counted stays, and what comes waits in the subscription
    savepoint(world)
    stopped = Told.by(world)
    assert stopped.results == before.results
    assert counted(stopped) == counted(before)
    world.publish()
    assert Told.by(world) == stopped

    # an upgrade that doesn't fit is refused before anything is started
    refused = world.bench.live(other_version(world), flags=("--resume", run, "--against", graph))
    assert refused.end() == 2, refused.said()
    assert "update-definition" in refused.said()
    assert Told.by(world) == stopped

    # one that fits goes on with the same run, and counts what waited once
    world.up("--resume", run, "--against", graph)
    world.caught_up()
    world.check()
    upgraded = Told.by(world)
    assert world.run == run
    assert upgraded.certificate.live_run == before.certificate.live_run == run
    assert upgraded.certificate.events > before.certificate.events

    # drained: all that was read is counted, lanes are sealed, and the certificate is as it was
    world.bench.well(world.stage.start("stop", "--wait", "120s"))
    assert world.live is not None
    world.bench.well(world.live)
    drained = Told.by(world)
    assert drained.results == upgraded.results
    assert counted(drained) == counted(upgraded)

    # and batch takes all of it in: the lanes' seals were the last word of that run
    world.publish_batch()
    batch = Told.by(world)
    assert batch.results == drained.results
    assert batch.certificate.batch_events == batch.certificate.events == drained.certificate.events
    assert batch.certificate.live_share == 0
    world.poller.stop()
    assert not world.poller.falls
