"""Job servers that don't answer, and those that a launcher starts."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability import job_server
from apache_beam.runners.portability.flink_runner import FlinkJarJobServer

from tandem.runners.beam_patches import job_servers
from tandem.runners.local.tied_processes import tied
from tandem.runners.submission.job_servers import YEARS
from tandem.schemas.errors import LaunchError

STARTER = """
import subprocess, sys, time
from tandem.runners.local.tied_processes import tied
child = subprocess.Popen(tied([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]),
                         stdout=subprocess.PIPE, text=True)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(600)
"""
WAIT_FOR = """
import sys, time
try:
    while open(f"/proc/{sys.argv[1]}/stat").read().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
except OSError:
    pass
"""


def test_one_that_has_gone_is_told_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job may last for years; reaching its server may not."""
    monkeypatch.setattr(job_servers, "_CONNECT", 0.2)
    job_servers.apply()
    gone = job_server.ExternalJobServer("127.0.0.1:1", YEARS)
    with pytest.raises(LaunchError, match=r"^no job server answers at 127.0.0.1:1: nothing was launched; start it"):
        gone.start()


def test_a_deadline_of_the_user_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def ready(channel: Any) -> Any:
        return SimpleNamespace(result=lambda timeout: asked.append(timeout))

    monkeypatch.setattr("grpc.channel_ready_future", ready)
    job_servers.apply()
    for timeout in (5, None, YEARS):
        job_server.ExternalJobServer("127.0.0.1:1", timeout).start()
    assert asked == [5, 60, 60]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own tie")
def test_what_a_launcher_started_ends_with_it_when_it_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        started = launcher.stdout.readline().strip()
        assert Path(f"/proc/{int(started)}").exists()
        launcher.send_signal(signal.SIGKILL)
    subprocess.run([sys.executable, "-c", WAIT_FOR, started], check=True, timeout=30)


SAYS = "import os, signal, time; print(os.getpid() == os.getsid(0), flush=True); time.sleep({seconds}); print('there')"


def test_what_another_thread_starts_is_left_alone() -> None:
    """The kernel would end it with that thread."""
    found: list[subprocess.Popen[str]] = []
    command = [sys.executable, "-c", SAYS.format(seconds=0.5)]
    start = lambda: found.append(subprocess.Popen(tied(command), stdout=subprocess.PIPE, text=True))  # noqa: E731
    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert found[0].communicate(timeout=60)[0] == "True\nthere\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_what_is_tied_decides_nothing_about_its_end(number: signal.Signals) -> None:
    """Ctrl-C reaches another session only; a service manager reaches all, and is not heard."""
    command = [sys.executable, "-c", SAYS.format(seconds=0.5)]
    with subprocess.Popen(tied(command), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        process.send_signal(number)
        assert process.communicate(timeout=60)[0] == "there\n"


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own tie")
def test_the_job_server_of_a_jar_is_tied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    job_servers.apply()
    jar = tmp_path / "server.jar"
    jar.write_bytes(b"")
    options = PipelineOptions([f"--flink_job_server_jar={jar}", "--job_server_java_launcher=true", "--job_port=1234"])
    server = FlinkJarJobServer(options)
    monkeypatch.setattr(server, "local_temp_dir", lambda **of: str(tmp_path))
    command, endpoint = server.subprocess_cmd_and_endpoint()
    assert endpoint == "localhost:1234"
    assert command[0] == sys.executable
    assert "-jar" in command
    assert command[command.index("-jar") - 1].endswith("/true")
