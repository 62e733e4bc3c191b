"""Describes the process that holds a lock: its number, its command line, and whether it is stopped."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Final

__all__ = ["lock_holders", "process_text"]

_MOST_WORDS: Final = 6
_LONGEST_WORD: Final = 60


def process_text(pid: int) -> str:
    """`process 4711 (tandem live --definition clicks.yaml ..., stopped: ...)`; as much as this machine shows."""
    what = [each for each in (_command(pid), _state(pid)) if each]
    return f"process {pid}" + (f" ({', '.join(what)})" if what else "")


def lock_holders(path: str, start: int | None = None) -> list[int]:
    """The processes that hold a write lock on a file, by Linux's list; at byte `start`, if given."""
    try:
        status, listed = os.stat(path), Path("/proc/locks").read_text(encoding="ascii")
    except OSError:
        return []
    found = []
    for line in listed.splitlines():
        # 1: POSIX  ADVISORY  WRITE 4711 08:01:1234 120 120; `->` stands before one that waits
        words = line.split()
        if len(words) != 8 or words[3] != "WRITE":
            continue
        inode, first, last = int(words[5].rpartition(":")[2]), int(words[6]), words[7]
        inside = start is None or (first <= start and (last == "EOF" or start <= int(last)))
        if inode == status.st_ino and inside and int(words[4]) != os.getpid():
            found.append(int(words[4]))
    return sorted(set(found))


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return ""
    shown = [_word(os.fsdecode(word)) for word in words]
    shown[0] = os.path.basename(shown[0])
    if shown[0].startswith("python") and len(shown) > 1 and not shown[1].startswith("-"):
        shown = [os.path.basename(shown[1]), *shown[2:]]
    more = " ..." if len(shown) > _MOST_WORDS else ""
    return shlex.join(shown[:_MOST_WORDS]) + more


def _word(text: str) -> str:
    """A word of a command line on one line, cut where it is long."""
    shown = "".join(sign if sign.isprintable() else " " for sign in text)
    return shown if len(shown) <= _LONGEST_WORD else f"{shown[: _LONGEST_WORD - 1]}…"


def _state(pid: int) -> str:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return "it is gone"
    return f"stopped: `kill -CONT {pid}` lets it go on" if state in ("T", "t") else ""
