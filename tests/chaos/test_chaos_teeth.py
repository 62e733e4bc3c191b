"""The product broken on purpose, in real processes: what checks the kills and faults must see it."""

from __future__ import annotations

import random
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from breaking.process_breaks import broken
from processes.stages import Stage, Tandem, wait_for
from processes.trials import LIVE, Kill, Trial, conclude, wrong_polls
from samples.click_traffic import CLICKS, Publisher, in_order

from tandem.journal.storage.blobs import LocalBlobs
from tandem.journal.storage.segments import load_header

pytestmark = [
    pytest.mark.xdist_group("kills"),
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

NUMBER = 2_000


@pytest.mark.slow
def test_acknowledging_early_and_counting_copies_are_seen(stage: Stage, polling: Any) -> None:
    """One kill before what was acknowledged is written, one before what is written is acknowledged."""
    trial = Trial(stage, polling(stage.view(CLICKS)))
    messages = in_order(random.Random(1), NUMBER)
    stage.publish(messages)
    # the first time lies before the first segment, whichever lane writes it
    trial.run(Kill("after-acknowledge", 1, broken="acknowledges_before_it_writes"))
    trial.run(Kill("after-segment", 1))
    stage.variables |= broken("every_copy_counts")
    found = conclude(stage, messages, NUMBER)
    assert found.get("lost", 0) > 0, found
    assert found.get("twice", 0) > 0, found


@pytest.mark.slow
def test_a_writer_that_is_not_fenced_is_seen(stage: Stage, polling: Any) -> None:
    """It sleeps while it is replaced, wakes up, and goes on behind the seal, where nobody reads."""
    poller = polling(stage.view(CLICKS))
    messages = in_order(random.Random(2), NUMBER)
    with Publisher(stage, messages, 100, random.Random(2), copies=0) as publisher:
        zombie = stage.live([CLICKS], *LIVE, env=broken("nonces_are_ignored"))
        wait_for("a first answer", lambda: poller.total)
        _pause(zombie, stage)
        second = stage.live([CLICKS], *LIVE, "--take-over")
        before = poller.total
        wait_for("a fresh answer of the second", lambda: poller.total > before)
        zombie.signal_group(signal.SIGCONT)
        wait_for("a segment behind the seal", lambda: _written_behind_the_seal(stage) or zombie.has_ended())
        assert not zombie.has_ended(), f"it was fenced all the same: {zombie.said()}"
        zombie.kill()
        second.process.terminate()
        second.end()
        publisher.finish()
    found = conclude(stage, messages, publisher.sent) | wrong_polls(poller, messages)
    assert found.get("lost", 0) > 0, found


@pytest.mark.slow
def test_a_pointer_that_moves_in_two_steps_is_seen(stage: Stage, polling: Any) -> None:
    """A backfill dies between the two: answers lack what batch has."""
    poller = polling(stage.view(CLICKS))
    messages = in_order(random.Random(3), NUMBER)
    stage.publish(messages)
    live = stage.live([CLICKS], *LIVE)
    wait_for("all is answered", lambda: poller.total == NUMBER)
    live.process.terminate()
    assert live.end() == 0, live.said()
    backfill = stage.start("backfill", "--definition", str(CLICKS), env=broken("the_pointer_moves_in_two_steps"))
    assert backfill.end() == -signal.SIGKILL, backfill.said()
    assert wrong_polls(poller, messages).get("falls")


def _pause(live: Tandem, stage: Stage) -> None:
    """SIGSTOP, but not within a transaction."""

    def asleep() -> bool:
        live.signal_group(signal.SIGSTOP)
        if stage.store_is_free():
            return True
        live.signal_group(signal.SIGCONT)
        return False

    wait_for("the store is free", asleep)


def _written_behind_the_seal(stage: Stage) -> bool:
    """Whether a lane holds messages behind its final seal, where nobody looks."""
    assert isinstance(stage.blobs, LocalBlobs)
    root = Path(stage.blobs.root)
    for folder in (root / "lanes").glob("*/*"):
        sealed = False
        for path in sorted(folder.glob("*.avro")):
            header = load_header(stage.blobs, str(path.relative_to(root)))
            if sealed and header.count:
                return True
            sealed = sealed or header.final is not None
    return False
