"""Recognizes an installation's own files in a folder: commands that change modes touch nothing else."""

from __future__ import annotations

import os
import pwd
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from tandem.journal.storage.layout import GENERATIONS, RUNS
from tandem.schemas.errors import UserError

__all__ = ["is_own", "need_journal", "need_store", "own_root"]

_PARTS: Final = re.compile(r"journal|layers|deadletters|scratch|taken-in|views\.db.*|keys\.json(\.lock)?")
_SQLITE: Final = b"SQLite format 3\0"
_PEOPLE: Final = range(1000, 60000)
"""Ids of people's users. System users have smaller ones: a service's folder belongs to the installation."""
_NUMBERED: Final = re.compile(r"\d{6}(\d{6})?\.json")


def own_root(home: str) -> str | None:
    """The home's folder, links resolved; None for a missing one. Raises UserError for one that isn't Tandem's."""
    root = os.path.realpath(home)
    if not os.path.lexists(root):
        return None
    if not os.path.isdir(root):
        raise UserError(f"{home}: a file, not a home's folder; nothing was changed")
    names = os.listdir(root)
    if names and not _is_installation(Path(root)):
        raise UserError(
            f"{home}: no Tandem installation is here; nothing was changed: --home names one, or a folder that is empty "
            "or not yet there"
        )
    if _is_others_too(root):
        raise UserError(
            f"{home}: not an installation's alone; nothing was changed: move journal, views.db and what lies beside "
            "them into a folder of their own"
        )
    return root


def is_own(path: str) -> bool:
    """Whether an entry directly below a home belongs to the installation, by its name."""
    return _PARTS.fullmatch(os.path.basename(path)) is not None


def need_journal(journal: str) -> None:
    """Raise UserError for a folder that holds anything but a journal."""
    if (
        os.path.exists(journal)
        and not _is_journal(Path(journal))
        and (not os.path.isdir(journal) or os.listdir(journal))
    ):
        raise UserError(f"{journal}: not a journal; nothing was changed: --journal names one")


def need_store(store: str) -> None:
    """Raise UserError for a file that holds anything but an embedded view store."""
    if os.path.exists(store) and not _is_store(Path(store)):
        raise UserError(f"{store}: not a view store; nothing was changed: --store names one")


def _is_installation(root: Path) -> bool:
    """Whether the folder has one of the entries that every command creates that writes to a home."""
    if _is_store(root / "views.db") or _is_journal(root / "journal"):
        return True
    made = ("views.db-mark", "taken-in", "deadletters", "keys.json", "keys.json.lock", "scratch")
    return any(os.path.lexists(root / name) for name in made) and all(map(_PARTS.fullmatch, os.listdir(root)))


def _is_store(path: Path) -> bool:
    """Whether it is a SQLite database, or an empty file, as a store is before its first table."""
    with suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                return file.read(len(_SQLITE)) in (_SQLITE, b"")
    return False


def _is_journal(path: Path) -> bool:
    """Whether it has numbered files of runs or generations."""
    for folder in (RUNS, GENERATIONS):
        with suppress(OSError):
            if any(map(_NUMBERED.fullmatch, os.listdir(path / folder))):
                return True
    return False


def _is_others_too(root: str) -> bool:
    """Whether it is the root, a person's home, or a folder that everyone may write."""
    people = {os.path.realpath(user.pw_dir) for user in pwd.getpwall() if user.pw_uid in (0, *_PEOPLE)}
    return root == "/" or root in people or bool(os.stat(root).st_mode & stat.S_ISVTX)
