"""Starts processes that end with their starter, and that no signal to a group of processes reaches."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from typing import Any, Final

__all__ = ["tied"]

_TIE: Final = """
import ctypes, os, signal, sys
parent, dies = int(sys.argv[1]), sys.argv[2] == "dies"
if os.getpgrp() != os.getpid():
    os.setsid()
if dies:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)
for deaf in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(deaf, signal.SIG_IGN)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""PR_SET_PDEATHSIG survives exec, as do the session and ignored signals: Java respects this, Go doesn't for SIGTERM
(see runners/beam_patches/prism_source.py). A parent that died before it was set is detected by its number."""


def tied(command: Sequence[Any]) -> list[Any]:
    """A command whose process only this process ends, also when this one is asked to end itself.

    The process has a session of its own, which Ctrl-C at a terminal doesn't reach, and ignores SIGTERM, which a service
    manager sends to all processes of a service. On Linux it ends with this one, also when this one is killed: the
    kernel watches the thread that starts it, and only the main one lives as long as the process.
    """
    dies = sys.platform == "linux" and threading.current_thread() is threading.main_thread()
    return [sys.executable, "-I", "-S", "-c", _TIE, str(os.getpid()), "dies" if dies else "stays", *command]
