"""Forked workers: what they are asked, how they end, that none is left behind. Each case in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tandem.runners.local.fork_server import can_fork

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks")
ROOT = Path(__file__).parents[3]
HEAD = """
import os, signal, sys, time
from tandem.runners.local.fork_server import ForkServer, can_fork

def until(wanted):
    while not (found := wanted()):
        time.sleep(0.005)
    return found

def work(request):
    what = request.get("do", "")
    if what == "raise":
        sys.stderr = open(os.devnull, "w")
        raise ValueError("no")
    if what == "wait":
        time.sleep(600)
    if what == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open(request["path"], "w").close()
        time.sleep(600)
    if "path" in request:
        with open(request["path"], "w") as file:
            file.write(f"{os.getpid()} {request['text']}")
"""


def script(body: str, *arguments: str) -> subprocess.Popen[str]:
    """A process that runs this behind HEAD."""
    text = HEAD + textwrap.dedent(body)
    return subprocess.Popen(
        [sys.executable, "-c", text, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def said(process: subprocess.Popen[str]) -> str:
    """What it printed; it must have ended well."""
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    return out


def gone(pids: list[int]) -> Callable[[], bool]:
    """Whether none of the processes is there any more, but for zombies."""

    def look() -> bool:
        for pid in pids:
            try:
                state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if state != "Z":
                return False
        return True

    return look


def wait_until(wanted: Callable[[], bool]) -> None:
    """Up to a minute."""
    until = time.monotonic() + 60
    while not wanted():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_each_worker_gets_what_was_asked(tmp_path: Path) -> None:
    out = said(
        script(
            """
            server = ForkServer.start(work)
            pids = [server.spawn({"path": f"{sys.argv[1]}/{n}", "text": f"größe\\n{n}"}) for n in range(3)]
            ended = {}
            until(lambda: ended.update(server.ended()) or len(ended) == 3)
            print(sorted(ended.items()) == sorted((pid, 0) for pid in pids))
            print([open(f"{sys.argv[1]}/{n}").read() == f"{pid} größe\\n{n}" for n, pid in enumerate(pids)])
            server.close()
            """,
            str(tmp_path),
        )
    )
    assert out == "True\n[True, True, True]\n"


@pytest.mark.parametrize(
    ("how", "code"),
    [
        pytest.param("raise", 1, id="an error"),
        pytest.param("wait", -signal.SIGKILL, id="killed"),
    ],
)
def test_how_a_worker_ended(how: str, code: int) -> None:
    out = said(
        script(
            """
            server = ForkServer.start(work)
            pid = server.spawn({"do": sys.argv[1]})
            if sys.argv[1] == "wait":
                os.kill(pid, signal.SIGKILL)
            print(until(server.ended)[pid])
            print(server.ended())
            server.close()
            """,
            how,
        )
    )
    assert out == f"{code}\n{{}}\n"


def test_closing_ends_all_also_who_will_not(tmp_path: Path) -> None:
    out = said(
        script(
            """
            import tandem.runners.local.fork_server
            tandem.runners.local.fork_server._GRACE = 0.2
            server = ForkServer.start(work)
            pids = [server.spawn({"do": "wait"}), server.spawn({"do": "stubborn", "path": sys.argv[1]})]
            until(lambda: os.path.exists(sys.argv[1]))
            server.close()
            print(*pids)
            try:
                server.spawn({})
            except (OSError, ValueError):
                print("refused")
            """,
            str(tmp_path / "there"),
        )
    )
    pids, refused = out.splitlines()
    assert refused == "refused"
    assert gone([int(pid) for pid in pids.split()])()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "terminated"])
def test_nobody_outlives_who_asked(number: int) -> None:
    process = script(
        """
        server = ForkServer.start(work)
        print(server.spawn({"do": "wait"}), server._pid, flush=True)
        time.sleep(600)
        """
    )
    assert process.stdout is not None
    pids = [int(pid) for pid in process.stdout.readline().split()]
    assert not gone(pids)()
    os.kill(process.pid, number)
    process.communicate(timeout=60)
    wait_until(gone(pids))


def test_no_fork_beside_threads() -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        assert not can_fork()
    finally:
        over.set()
        thread.join()
    assert said(script("print(can_fork())")) == "True\n"
