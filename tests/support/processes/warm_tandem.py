"""`tandem` without its seconds of imports: a process that has imported everything is forked for each command.

`python -m processes.warm_tandem SOCKET` serves. The `tandem` that asks it has the words, folder, variables, standard
streams, signals and exit code of an ordinary one.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

__all__ = ["warm_tandem"]

_CLIENT = """\
#!{python} -IS
import json, os, signal, socket, sys
with socket.socket(socket.AF_UNIX) as to:
    to.connect({socket!r})
    asked = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode() + b"\\n"
    socket.send_fds(to, [asked[:1]], [0, 1, 2])
    to.sendall(asked[1:])
    said = to.makefile("r")
    pid = int(said.readline())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: os.kill(pid, number))
    sys.exit(int(said.readline()))
"""


@contextmanager
def warm_tandem(folder: Path) -> Iterator[Path]:
    """The folder of a `tandem` that is warm; everything that was started by it ends with the context."""
    path = folder / "warm"
    command = [sys.executable, "-m", "processes.warm_tandem", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with Popen(command, stdout=PIPE, env=environment, start_new_session=True) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            shims = folder / "shims"
            shims.mkdir()
            (shims / "tandem").write_text(_CLIENT.format(python=sys.executable, socket=str(path)))
            (shims / "tandem").chmod(0o700)
            yield shims
        finally:
            os.killpg(server.pid, signal.SIGKILL)


def _serve(path: str) -> None:
    import tandem.app
    import tandem.pipelines.backfill
    import tandem.pipelines.live
    import tandem.pipelines.rebuild
    import tandem.serving.questions.answers.asking  # noqa: F401

    assert threading.active_count() == 1, "a process with threads can't be forked"
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(16)
        os.write(1, b"ready\n")
        while True:
            asking, _ = listening.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listening.close()
                _run_for(asking)
            asking.close()


def _run_for(asking: socket.socket) -> None:
    """Run what a client asks for in a process of its own, and tell it the process's id and exit code."""
    first, streams, _, _ = socket.recv_fds(asking, 1, 3)
    words, folder, variables = json.loads(first + asking.makefile("rb").readline())
    pid = os.fork()
    if pid == 0:
        asking.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os._exit(_ran(words, folder, variables))
    for stream in streams:
        os.close(stream)
    asking.sendall(f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    asking.sendall(f"{128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)}\n".encode())
    os._exit(0)


def _ran(words: list[str], folder: str, variables: dict[str, str]) -> int:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = ["tandem", *words]
    code: Any = 0
    try:
        runpy.run_module("tandem", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else 1


if __name__ == "__main__":
    _serve(sys.argv[1])
