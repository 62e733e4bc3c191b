"""Commands that end by themselves start nothing, and others can't reach what they write, with the umask 0 and in one
process. Those that start something are listed, each with the test that looks where it listens.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from processes.every_command import BEFORE, QUIET, names

from tandem.command_list.commands import COMMANDS
from tandem.command_list.entry import Entry

pytestmark = [
    pytest.mark.xdist_group("processes"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

HERE: Final = Path(__file__).parent
_OPEN_PORTS: Final = HERE / "test_open_ports.py"
_FLINK: Final = HERE.parent / "flink" / "test_flink_ports.py"
LOUD: Final[dict[str, tuple[Path, str]]] = {
    "live": (_OPEN_PORTS, "test_live_and_what_follows_it"),
    "backfill": (_OPEN_PORTS, "test_backfill"),
    "publish": (_OPEN_PORTS, "test_live_and_what_follows_it"),
    "windowed": (_OPEN_PORTS, "test_windowed"),
    "verify": (_OPEN_PORTS, "test_verify"),
    "rebuild": (_OPEN_PORTS, "test_a_server_with_its_processes"),
    "deadletters replay": (_OPEN_PORTS, "test_a_server_with_its_processes"),
    "serve": (_OPEN_PORTS, "test_a_server_with_its_processes"),
    "emulator": (_OPEN_PORTS, "test_the_emulator_listens_at_loopback"),
    "flink start": (_FLINK, "test_a_cluster_and_a_job_on_it"),
}
"""By command that starts something, the test that looks where it listens."""
CALLS: Final[dict[str, str]] = {
    "seal": "writes a file of the journal",
    "stop": "writes a file of the journal",
    "pubsub create-topic": "asks Pub/Sub",
    "pubsub create-subscription": "asks Pub/Sub",
    "results register": "asks Pub/Sub",
    "results table": "asks BigQuery",
    "bigquery": "asks BigQuery",
    "store grant": "asks PostgreSQL",
    "template flex run": "asks Dataflow",
    "template classic build": "asks Dataflow's runner what it thinks of the options",
    "flink status": "asks a Flink",
    "flink stop": "ends processes",
    "flink savepoint": "asks a Flink",
    "flink stop-job": "asks a Flink",
}
"""Those that need another's service or a live run: clients, which have tests of their own."""


def unclassified(entries: Sequence[Entry]) -> set[str]:
    return set(names(entries)) - {*QUIET, *LOUD, *CALLS}


def test_every_command_is_known_to_start_something_or_nothing() -> None:
    assert unclassified(COMMANDS) == set()
    assert {*QUIET, *LOUD, *CALLS} == set(names())
    assert len(QUIET) + len(LOUD) + len(CALLS) == len(set(names()))


def test_a_new_command_has_to_be_classified() -> None:
    group = Entry("shop", "", "A group.", commands=(Entry("open", "shop.open", "Open it."),))
    assert unclassified((*COMMANDS, group, Entry("mine", "mine.mine", "Mine."))) == {"shop open", "mine"}


@pytest.mark.parametrize(("command", "test"), LOUD.items(), ids=LOUD)
def test_commands_that_start_something_are_looked_at(command: str, test: tuple[Path, str]) -> None:
    file, name = test
    text = file.read_text(encoding="utf-8")
    assert f"def {name}(" in text
    body = text.split(f"def {name}(")[1].split("\ndef ")[0]
    assert all(word in body for word in command.removesuffix("start").split()), f"{name} doesn't run tandem {command}"


@dataclass(frozen=True)
class Run:
    folder: Path
    lines: dict[str, dict[str, Any]]
    """By command."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All of them, once."""
    folder = tmp_path_factory.mktemp("every-command")
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent / "support")}
    environment.pop("PUBSUB_EMULATOR_HOST", None)
    command = [sys.executable, "-m", "processes.every_command", str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return Run(folder, {line["command"]: line for line in lines})


@pytest.mark.parametrize("command", QUIET)
def test_a_quiet_command_starts_nothing(run: Run, command: str) -> None:
    line = run.lines[command]
    assert line["code"] == 0, line["said"]
    assert (line["started"], line["listening"]) == ([], [])


def test_what_starts_something_is_seen(run: Run) -> None:
    """By the same means: the backfills before them have forked readers."""
    assert "os.fork" in " ".join(run.lines[""]["started"])
    assert len(BEFORE) == 4


def test_others_can_reach_nothing_that_was_written(run: Run) -> None:
    """By another program. What it has to find is there: of each kind of output some."""
    written = {str(path.relative_to(run.folder)) for path in run.folder.rglob("*") if path.is_file()}
    kinds = ("home/views.db", "home/layers/", "home/deadletters/", "home/keys.json", "sent/", "alerted/", "windowed/")
    for kind in (*kinds, "export.parquet", "sql.csv", "lake/", "drift.html", "monitoring/", "live.json", "sweep.svg"):
        assert any(name.startswith(kind) for name in written), kind
    find = ["find", str(run.folder), "-mindepth", "1", "!", "-type", "l", "-perm", "/077"]
    assert subprocess.run(find, capture_output=True, text=True, check=True).stdout == ""


def test_what_others_can_reach_is_seen(tmp_path: Path) -> None:
    (tmp_path / "open").touch()
    (tmp_path / "open").chmod(0o640)
    find = ["find", str(tmp_path), "-mindepth", "1", "!", "-type", "l", "-perm", "/077"]
    assert subprocess.run(find, capture_output=True, text=True, check=True).stdout == f"{tmp_path}/open\n"
