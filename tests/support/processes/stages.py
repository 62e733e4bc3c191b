"""Real processes for tests of whole pipelines: `tandem` commands, a publisher, and the answers that they give."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from google.cloud import pubsub_v1

from processes.patience import Patience
from processes.preloaded import PreloadedProcess, Running, can_be_preloaded
from tandem.journal.index import JournalIndex
from tandem.journal.reading import read_segment
from tandem.journal.storage.blobs import BlobStore
from tandem.journal.storage.opening import open_blobs
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import load
from tandem.views.answers.all_steps import all_answers
from tandem.views.rows import Publication
from tandem.views.store import ViewStore

__all__ = [
    "PATIENCE",
    "ROOT",
    "TANDEM",
    "Counts",
    "Poller",
    "Stage",
    "Tandem",
    "View",
    "environment",
    "start_emulator",
    "wait_for",
]

ROOT = Path(__file__).parents[3]
TANDEM = (sys.executable, "-m", "tandem")
PATIENCE = float(os.environ.get("TANDEM_TEST_PATIENCE", "240"))
"""Seconds for anything that takes a few on a free machine; time in which a machine has no processor for it isn't
counted.
"""
_LOOK = 2.0

_MARK = "TANDEM_TEST_STARTED"

Counts = dict[tuple[str, int], int]
"""(key, start of the tile) -> events."""


def wait_for(what: str, happened: Callable[[], Any], time_limit: float = PATIENCE) -> Any:
    """The first true value that `happened` returns; fails the test, naming `what`, when it takes too long."""
    patience = Patience(time_limit, lambda: [os.getpid()])
    while not (value := happened()):
        if patience.is_over():
            pytest.fail(f"waited {time_limit:.0f} s in vain: {what}")
        time.sleep(0.05)
    return value


@dataclass
class Tandem:
    """One `tandem` process in a process group of its own."""

    process: Running
    errors: Path
    started: float
    """Seconds, monotonic."""
    mark: str = ""
    """In the environment of all that it started, whatever group that is in."""

    def signal_group(self, number: int) -> None:
        """To the process and all that it started, its runner among them."""
        os.killpg(self.process.pid, number)
        for pid in _marked(self.mark):
            if pid != self.process.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)

    def kill(self) -> None:
        """SIGKILL the whole group; harmless when it has ended."""
        if self.process.poll() is None:
            self.signal_group(signal.SIGKILL)
            self.process.wait()

    def end(self, time_limit: float = PATIENCE) -> int:
        """Its exit code, once it has ended."""
        patience = Patience(time_limit, lambda: [self.process.pid, *_marked(self.mark)])
        while True:
            try:
                return self.process.wait(min(_LOOK, time_limit))
            except subprocess.TimeoutExpired:
                if patience.is_over():
                    self.kill()
                    pytest.fail(
                        f"still running after {time_limit:.0f} s: {self.process.args!r}; it said:\n{self.said()}"
                    )

    def has_ended(self) -> bool:
        """Whether it runs no more."""
        return self.process.poll() is not None

    def said(self) -> str:
        """Standard error so far."""
        return self.errors.read_text(errors="replace")

    def group_is_gone(self) -> bool:
        """Whether nothing that it started runs any more; processes that nobody has reaped don't run."""
        grouped = [entry for entry in Path("/proc").glob("[0-9]*") if _group(entry) == self.process.pid]
        marked = [Path("/proc", str(pid)) for pid in _marked(self.mark)]
        return all(_state(entry) in "ZX" for entry in (*grouped, *marked))


def _marked(mark: str) -> list[int]:
    """Processes that have this in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark and f"{_MARK}={mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def _stat(entry: Path) -> list[str]:
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _group(entry: Path) -> int:
    stat = _stat(entry)
    return int(stat[2]) if stat else 0


def _state(entry: Path) -> str:
    stat = _stat(entry)
    return stat[0] if stat else "X"


@dataclass
class Stage:
    """A topic with a subscription, and a home of its own for all that Tandem writes."""

    folder: Path
    emulator: str
    name: str
    running: list[Tandem] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    """Environment variables of every process that is started."""
    journal: Path | str | None = None
    """Where it isn't in the home's usual place; a folder or a URL."""
    dead_letters: str | None = None
    """Likewise."""
    store_url: str | None = None
    """Likewise."""
    own_interpreters: bool = False
    """Whether each command gets an interpreter of its own, as from a shell, instead of being forked."""
    _read: dict[str, list[bytes]] = field(default_factory=dict)
    """Payloads of segments, which never change."""

    @property
    def topic(self) -> str:
        return f"projects/{self.name}/topics/events"

    @property
    def subscription(self) -> str:
        return f"projects/{self.name}/subscriptions/events"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def environment(self) -> dict[str, str]:
        """Of every process that is started."""
        usual = {"PUBSUB_EMULATOR_HOST": self.emulator, "TANDEM_HOME": str(self.home)}
        return {**os.environ, **usual, **self.variables}

    @property
    def store(self) -> str:
        """URL of the view store."""
        return self.store_url or f"sqlite:///{self.home / 'views.db'}"

    @property
    def places(self) -> tuple[str, ...]:
        """Flags for what isn't in its usual place."""
        journal = ("--journal", str(self.journal)) if self.journal else ()
        letters = ("--dead-letters", self.dead_letters) if self.dead_letters else ()
        return (*journal, *letters, *(("--store", self.store_url) if self.store_url else ()))

    def start(self, *arguments: str, env: Mapping[str, str] | None = None, program: Sequence[str] = ()) -> Tandem:
        """Start `tandem ARGUMENTS`, or another program with them, and don't wait for it.

        Where nothing stands against it, `tandem` is forked from a process that has imported it: see preloaded.py.
        """
        errors = self.folder / f"{len(self.running):03d}-{arguments[0].strip('-')}.err"
        mark, started = secrets.token_hex(8), time.monotonic()
        variables = {**self.environment, **(env or {}), _MARK: mark}
        process = _started(
            [*arguments, *self.places], program or (TANDEM if self.own_interpreters else ()), variables, errors
        )
        self.running.append(Tandem(process, errors, started, mark))
        return self.running[-1]

    def live(self, definitions: Sequence[Path], *flags: str, env: Mapping[str, str] | None = None) -> Tandem:
        """Start `tandem live` over the subscription."""
        named = [text for path in definitions for text in ("--definition", str(path))]
        return self.start("live", *named, "--subscription", self.subscription, "--no-screen", *flags, env=env)

    def publish(self, payloads: Sequence[bytes]) -> None:
        """Publish through the official client, and wait until the broker has all."""
        for future in [self.publisher.publish(self.topic, payload) for payload in payloads]:
            future.result(timeout=60)

    def view(self, definition: Path) -> View:
        """What a definition answers here."""
        return View(ViewStore(self.store), compile_definition(load(definition)))

    @cached_property
    def publisher(self) -> pubsub_v1.PublisherClient:
        """The official client."""
        with environment(PUBSUB_EMULATOR_HOST=self.emulator):
            return pubsub_v1.PublisherClient()

    @property
    def blobs(self) -> BlobStore:
        """The journal."""
        return open_blobs(str(self.journal or self.home / "journal"))

    def journaled(self) -> set[bytes]:
        """Payloads of all messages in the journal."""
        index = JournalIndex(self.blobs)
        index.refresh()
        for ref in index.segments():
            if ref.path not in self._read:
                self._read[ref.path] = read_segment(self.blobs, ref).messages["data"].to_pylist()
        return {data for payloads in self._read.values() for data in payloads}

    def has_journaled(self, messages: Sequence[bytes], sent: int) -> bool:
        """Whether the journal has each of these payloads, and no fewer messages than were sent, copies included."""
        there = self.journaled()
        return {*messages} <= there and sum(map(len, self._read.values())) >= sent

    def store_is_free(self) -> bool:
        """Whether nobody holds the view store's write lock at this moment."""
        with contextlib.closing(sqlite3.connect(self.store.removeprefix("sqlite:///"), timeout=0.2)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            connection.rollback()
            return True


def _started(arguments: list[str], program: Sequence[str], variables: dict[str, str], errors: Path) -> Running:
    errors.write_bytes(b"")
    if not program and can_be_preloaded(variables):
        return PreloadedProcess(arguments, environment=variables, folder=ROOT, errors=errors)
    with errors.open("wb") as stderr:
        return subprocess.Popen(
            [*(program or TANDEM), *arguments],
            env=variables,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )


@contextlib.contextmanager
def environment(**changes: str) -> Iterator[None]:
    """This process's environment, changed for a moment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in changes.items():
            patch.setenv(name, value)
        yield


@dataclass(frozen=True)
class View:
    """The answers of one definition, as its users get them."""

    store: ViewStore
    compiled: CompiledDefinition

    @property
    def served(self) -> Publication | None:
        """What is served now."""
        return self.store.publishing.served(self.compiled.definition.name)

    def results(self) -> dict[tuple[str, int], dict[str, Any]]:
        """The measures of every key and tile that has events."""
        return {(row.key, row.start): row.results for row in all_answers(self.store, self.compiled)}

    def counts(self) -> Counts:
        """The events of every key and tile that has any."""
        return {(row.key, row.start): row.events for row in all_answers(self.store, self.compiled)}

    def unbalanced(self) -> dict[str, dict[int, int]]:
        """Residues that aren't zero: of the served live run, of its rows, and of the served batch run."""
        served, version = self.served, self.compiled.version
        assert served is not None
        found: dict[str, dict[int, int]] = {}
        if served.live_run is not None:
            found["live"] = self.store.residues.of_live_run(version, served.live_run)
            found["rows"] = self.store.residues.of_rows(version, served.live_run)
        if served.batch_run is not None:
            found["batch"] = self.store.residues.of_batch_run(served.batch_run)
        return {name: nonzero for name, all_ in found.items() if (nonzero := {g: n for g, n in all_.items() if n})}

    def received_by_batch(self) -> int:
        """Messages in all generations and files that the served batch run and its ancestors read."""
        total, run = 0, self.served.batch_run if self.served else None
        while run is not None:
            total += sum(counts.received for counts in self.store.batch.manifest(run).counts)
            run = self.store.batch.get(run).parent
        return total


class Poller(threading.Thread):
    """Reads all answers all the time, and notes where a number of events fell."""

    def __init__(self, view: View, every: float = 0.25) -> None:
        super().__init__(name="poller", daemon=True)
        self.falls: list[str] = []
        self.polls = 0
        self.total = 0
        """Events in all answers."""
        self.highest: Counts = {}
        self.error: BaseException | None = None
        self._view, self._every, self._stopped = view, every, threading.Event()

    def run(self) -> None:
        try:
            while not self._stopped.wait(self._every):
                self._look()
        except BaseException as error:
            self.error = error

    def abandon(self) -> None:
        """End, whatever was found."""
        self._stopped.set()
        self.join()

    def stop(self) -> None:
        """Look for the last time, and end."""
        self._stopped.set()
        self.join()
        if self.error is not None:
            raise self.error
        self._look()

    def _look(self) -> None:
        counts = self._view.counts()
        self.total = sum(counts.values())
        for place, highest in self.highest.items():
            if counts.get(place, 0) < highest:
                self.falls.append(f"{place}: {highest} events, then {counts.get(place, 0)} ({self._view.served})")
            counts[place] = max(highest, counts.get(place, 0))
        self.highest = counts
        self.polls += 1


def start_emulator(errors: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A process of `tandem emulator` on a free port, and its HOST:PORT."""
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            [*TANDEM, "emulator", "--port", "0"], cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr
        )
    assert process.stdout is not None
    found = re.fullmatch(r"export PUBSUB_EMULATOR_HOST=(\S+)\n", process.stdout.readline().decode())
    assert found, f"the emulator didn't start: {errors.read_text()}"
    return process, found[1]
