"""`tandem private`, and what `tandem status` says of files that others can reach."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from tandem.pipelines.console.printing import say
from tandem.places import HomeOption, JournalOption, StoreOption
from tandem.runners.options.places import Home
from tandem.schemas.errors import UserError
from tandem.schemas.privacy.files import make_folder, set_mode, wider

__all__ = ["exposed", "private"]

_MOST_LOOKED_AT: Final = 10_000
"""Files that `status` looks at: a journal of years has more, all made alike."""


def private(
    group: Annotated[
        str | None, typer.Option(metavar="NAME", help="share them with this group: its members may ask, and may write")
    ] = None,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
    journal: JournalOption = None,
) -> None:
    """Let nobody but you, or you and a group, reach what is in a home; what comes later is made the same way."""
    changed = 0
    try:
        make_folder(home)
        for root in _roots(home, Home.of(home, store, journal)):
            for path, mode in wider(root, shared=group is not None, everything=True):
                if group is not None:
                    shutil.chown(path, group=group)  # before the mode, of which it takes a part away
                changed += set_mode(path, mode, shared=group is not None)
    except LookupError:
        raise UserError(f"--group {group}: there is no such group; `getent group` shows those that there are") from None
    except OSError as error:
        raise UserError(f"{error.filename or home}: {error.strerror}; its owner can run this") from None
    whom = f"you and the group {group}" if group is not None else "you alone"
    say(f"{home}: {changed:,} files and folders changed; all of it is for {whom}")


def exposed(home: str, places: Home) -> list[str]:
    """A line for each of the first files and folders that more can reach than should, and the remedy."""
    found: list[str] = []
    for root in _roots(home, places):
        found += [f"{path} ({mode & 0o7777:04o})" for path, mode in wider(root, limit=_MOST_LOOKED_AT)]
    if not found:
        return []
    shown = ", ".join(found[:3]) + (f" and {len(found) - 3:,} more" if len(found) > 3 else "")
    return [f"others can reach {shown}: `tandem private --home {home}` keeps them to you"]


def _roots(home: str, places: Home) -> Iterator[str]:
    """The home, and what of it lies elsewhere."""
    inside = Path(home).absolute()  # of a URL there is nothing on this machine
    stores = []
    if places.store.startswith("sqlite:///"):
        path = places.store.removeprefix("sqlite:///")
        stores = [f"{path}{ending}" for ending in ("", "-wal", "-shm", "-mark")]
    for root in (str(inside), places.journal, *stores):
        if os.path.exists(root) and (root == str(inside) or not Path(root).is_relative_to(inside)):
            yield root
