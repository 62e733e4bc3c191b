"""A live pipeline whose broker, disks and clock can fail, and that is started again when it has ended."""

from __future__ import annotations

import contextlib
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

from google.cloud import pubsub_v1
from processes.stage_fixtures import staged
from processes.stages import Poller, Stage, Tandem, View, environment, wait_for
from processes.trials import LAYER_THRESHOLDS, LIVE, SHARDS, differences
from samples.click_traffic import CLICKS, expected, in_order, rounded

from breaking.clock_shift import ClockShift
from breaking.small_disks import SmallDisk, mounted
from breaking.tcp_proxy import TcpProxy
from tandem.journal.index import JournalIndex

__all__ = ["FaultWorld", "fault_world"]

DISK_MEGABYTES = 192
"""Of a small disk: a store of four shards and its log of changes, 32 before it is copied, fit several times."""


@dataclass
class FaultWorld:
    """All of its messages are in live as soon as they are read: none is late, so live alone gives every answer."""

    stage: Stage
    definition: Path
    proxy: TcpProxy
    """Between live and its broker."""
    clock: ClockShift | str
    """Of all `tandem` processes; or why it can't be had."""
    journal_disk: SmallDisk | str
    """Likewise."""
    store_disk: SmallDisk | str
    """Likewise."""
    messages: list[bytes] = field(default_factory=list)
    poller: Poller | None = None
    turns: Iterator[str] = field(default_factory=lambda: cycle(LAYER_THRESHOLDS))
    """Thresholds of backfills."""
    live: Tandem | None = None
    _chance: random.Random = field(default_factory=lambda: random.Random(7))

    @property
    def view(self) -> View:
        """Its answers."""
        return self._view

    def __post_init__(self) -> None:
        self._view = self.stage.view(self.definition)

    def up(self) -> Tandem:
        """Live, started if there is none; answers are read all the time from now on."""
        if self.live is None or not self.is_up:
            self.live = self.stage.live([self.definition], *LIVE)
        if self.poller is None:
            self.poller = Poller(self._view)
            self.poller.start()
        return self.live

    @property
    def is_up(self) -> bool:
        """Whether live runs."""
        return self.live is not None and not self.live.has_ended()

    def restart(self) -> None:
        """SIGKILL, and another start."""
        if self.live is not None:
            self.live.kill()
        self.up()

    def publish(self, number: int) -> None:
        """So many new clicks."""
        fresh = in_order(self._chance, number, len(self.messages))
        self.stage.publish(fresh)
        self.messages += fresh

    def has_caught_up(self) -> bool:
        """Whether the answers hold all that was published, and nothing is unbalanced."""
        return sum(self._view.counts().values()) >= len(self.messages) and not self._view.unbalanced()

    def caught_up(self, what: str) -> None:
        """Wait until it has caught up; the answers are the expected ones. Fails when live ends meanwhile."""
        live = self.live
        assert live is not None
        wait_for(
            f"{what}: {len(self.messages)} events in the answers", lambda: self.has_caught_up() or live.has_ended()
        )
        assert not live.has_ended(), f"{what}: live ended with {live.end()}:\n{live.said()}"
        self.check(what)

    def check(self, what: str) -> None:
        """The answers are the expected ones, and no number of events has ever fallen."""
        found = differences(rounded(self._view.results()), expected(self.messages))
        assert not found, f"{what}: {found}"
        assert not self._view.unbalanced(), what
        poller = self.poller
        assert poller is None or poller.error is None, f"{what}: {poller and poller.error!r}"
        assert poller is None or not poller.falls, f"{what}: {poller and poller.falls}"

    def backfill(self) -> Tandem:
        """Batch over all that is sealed."""
        layers = ("--layer-threshold", next(self.turns))
        return self.stage.start("backfill", "--definition", str(self.definition), *SHARDS, *layers)

    def drain(self) -> Tandem:
        """SIGTERM, and the end of live."""
        live = self.up()
        live.process.terminate()
        live.end()
        self.live = None
        return live

    def end(self) -> None:
        """Drain, and let batch answer alone for all of it."""
        live = self.drain()
        assert live.process.poll() == 0, live.said()
        backfill = self.backfill()
        assert backfill.end() == 0, backfill.said()
        self.check("batch over all")

    def stop(self) -> None:
        """No more looks at the answers, no more processes."""
        if self.poller is not None:
            self.poller.abandon()
        for tandem in self.stage.running:
            tandem.kill()
        self.proxy.close()
        self._view.store.close()

    # What lies where

    def unsealed(self) -> list[Any]:
        """Segments of generations that aren't sealed."""
        index = JournalIndex(self.stage.blobs)
        index.refresh()
        return index.segments(index.sealed)

    def waiting(self) -> set[bytes]:
        """Payloads of all messages that the broker hands out at once: nobody has a lease on them."""
        found: set[bytes] = set()
        with environment(PUBSUB_EMULATOR_HOST=self.stage.emulator), pubsub_v1.SubscriberClient() as client:
            name, leased = self.stage.subscription, list[str]()
            while True:
                request = {"subscription": name, "max_messages": 1000, "return_immediately": True}
                received = client.pull(request=request).received_messages
                if not received:
                    break
                found |= {message.message.data for message in received}
                leased += [message.ack_id for message in received]
            if leased:
                client.modify_ack_deadline(subscription=name, ack_ids=leased, ack_deadline_seconds=0)
        return found


@contextlib.contextmanager
def fault_world(folder: Path, emulator: str, store_url: str | None = None) -> Iterator[FaultWorld]:
    """A world with all that this machine can let fail. `store_url`: a view store that is somewhere else."""
    with contextlib.ExitStack() as stack:
        stage = stack.enter_context(staged(folder, emulator))
        proxy = TcpProxy(emulator)
        stage.variables["PUBSUB_EMULATOR_HOST"] = proxy.address
        clock: ClockShift | str
        try:
            clock = ClockShift(folder)
            stage.variables |= clock.variables
        except LookupError as reason:
            clock = str(reason)
        journal_disk, store_disk = (_disk(stack, folder / name) for name in ("journal-disk", "store-disk"))
        if isinstance(journal_disk, SmallDisk):
            stage.journal = journal_disk.folder / "journal"
        if store_url is not None:
            stage.store_url = store_url
        elif isinstance(store_disk, SmallDisk):
            stage.store_url = f"sqlite:///{store_disk.folder / 'views.db'}"
        world = FaultWorld(stage, _definition(folder), proxy, clock, journal_disk, store_disk)
        stack.callback(world.stop)
        yield world


def _disk(stack: contextlib.ExitStack, folder: Path) -> SmallDisk | str:
    try:
        return stack.enter_context(mounted(folder, DISK_MEGABYTES))
    except LookupError as reason:
        return str(reason)


def _definition(folder: Path) -> Path:
    """The clicks, but nothing is ever late: a machine that is slow must not decide what live takes in."""
    made = folder / "clicks.yaml"
    text = CLICKS.read_text()
    assert "lateness: 10m" in text
    made.write_text(text.replace("lateness: 10m", "lateness: 30d"))
    shutil.copy(CLICKS.with_name("clicks.avsc"), folder)
    return made
