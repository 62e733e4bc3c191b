"""The processes of a live measurement: an emulator, a publisher and a pipeline, all below one folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from benchmarks.inputs.clicks import DEFINITIONS, SCHEMA_FILE
from benchmarks.live_runs.live_watching import children
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import load
from tandem.views.storage.opening import open_store
from tandem.views.store import ViewStore

__all__ = ["Scene", "scene", "wait_until"]

ROOT: Final = Path(__file__).resolve().parents[2]


TANDEM: Final = (sys.executable, "-m", "tandem")


@dataclass
class Scene:
    """An emulator with topic and subscription, and a home for one pipeline; all of it below a folder."""

    folder: Path
    form: str = "json"
    key: str = "page"
    freshness: str = "500ms"
    lateness: str = "1m"
    tile: str = "1m"
    flags: Sequence[str] = ()
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    address: str = ""

    @property
    def topic(self) -> str:
        return "projects/benchmark/topics/clicks"

    @property
    def subscription(self) -> str:
        return "projects/benchmark/subscriptions/clicks"

    @property
    def store(self) -> str:
        return f"sqlite:///{self.folder / 'home' / 'views.db'}"

    @property
    def definition(self) -> Path:
        return self.folder / "clicks.yaml"

    @property
    def compiled(self) -> CompiledDefinition:
        return compile_definition(load(self.definition))

    def set_up(self) -> None:
        """Start the emulator; create topic, subscription and definition."""
        text = DEFINITIONS["clicks" if self.key == "page" else "clicks_users"].read_text()
        text = text.replace("format: json", f"format: {self.form}").replace(
            "lateness: 10m", f"lateness: {self.lateness}"
        )
        self.definition.write_text(text.replace("tile: 1m\n", f"tile: {self.tile}\nfreshness: {self.freshness}\n"))
        (self.folder / SCHEMA_FILE.name).write_text(SCHEMA_FILE.read_text())
        emulator = self.start("emulator", "emulator", "--port", "0", stdout=subprocess.PIPE)
        assert emulator.stdout is not None
        self.address = emulator.stdout.readline().strip().partition("=")[2]
        self.tandem("pubsub", "create-topic", self.topic)
        self.tandem("pubsub", "create-subscription", self.subscription, "--topic", self.topic)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every process."""
        home = {"TANDEM_HOME": str(self.folder / "home"), "PUBSUB_EMULATOR_HOST": self.address}
        return {**os.environ, **{name: value for name, value in home.items() if value}, "PYTHONPATH": str(ROOT)}

    def start(self, name: str, *arguments: str, stdout: Any = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """Start `tandem ARGUMENTS`."""
        return self.spawn(name, [*TANDEM, *arguments], stdout)

    def spawn(self, name: str, command: Sequence[str], stdout: Any) -> subprocess.Popen[str]:
        """Start a process; its standard error goes to NAME.err."""
        with (self.folder / f"{name}.err").open("a") as errors:
            process = subprocess.Popen(
                list(command), env=self.environment, cwd=self.folder, stdout=stdout, stderr=errors, text=True,
                start_new_session=True,
            )  # fmt: skip
        self.processes[name] = process
        return process

    def tandem(self, *arguments: str) -> None:
        """Run `tandem ARGUMENTS` to its end."""
        command = [*TANDEM, *arguments]
        subprocess.run(command, env=self.environment, cwd=self.folder, check=True, stdout=subprocess.DEVNULL)

    def live(self) -> subprocess.Popen[str]:
        """Start the pipeline."""
        named = ("--definition", str(self.definition), "--subscription", self.subscription, "--no-screen")
        return self.start("live", "live", *named, *self.flags)

    def opened(self, live: subprocess.Popen[str]) -> ViewStore:
        """The view store, once the pipeline has created it and started its runner."""
        wait_until(lambda: (self.folder / "home" / "views.db").exists() and bool(children(live.pid)), 60, live)
        return open_store(self.store)

    def publisher(self, rate: float, seconds: float, events: int = 0) -> subprocess.Popen[str]:
        """Start publishing, once its requests are prepared."""
        command = [
            sys.executable,
            "-m",
            "benchmarks.live_runs.live_traffic",
            "--address",
            self.address,
            "--topic",
            self.topic,
        ]
        command += ["--progress", str(self.folder / "progress"), "--counts", str(self.folder / "counts.npz")]
        command += ["--form", self.form, "--key", self.key, "--rate", str(rate), "--seconds", str(seconds)]
        process = self.spawn("publisher", [*command, "--events", str(events)], subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    def published(self) -> int:
        """Messages sent so far by the publisher."""
        path = self.folder / "progress"
        return int(np.memmap(path, np.int64, "r", shape=(4,))[0]) if path.exists() else 0

    def said(self) -> str:
        """The end of the pipeline's standard error."""
        return (self.folder / "live.err").read_text(errors="replace")[-8000:]

    def end(self) -> None:
        """Kill the remaining processes."""
        for process in self.processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


_Kind = TypeVar("_Kind", bound=Scene)


@contextmanager
def scene(kind: type[_Kind], **settings: Any) -> Iterator[_Kind]:
    """A scene of this class in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="tandem-live-") as folder:
        made = kind(Path(folder), **settings)
        try:
            made.set_up()
            yield made
        finally:
            made.end()


def wait_until(happened: Any, seconds: float, live: subprocess.Popen[str] | None = None) -> None:
    """Poll until it has happened; raises SystemExit after `seconds`, or when the pipeline ends."""
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end or (live is not None and live.poll() is not None):
            raise SystemExit("waited in vain, or the pipeline has ended")
        time.sleep(0.05)
