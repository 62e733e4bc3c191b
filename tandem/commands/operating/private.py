"""`tandem private`, and the lines of `tandem status` about files that others can access."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import typer

from tandem.commands.operating.own_files import is_own, need_journal, need_store, own_root
from tandem.pipelines.console.printing import say
from tandem.places import HomeOption, JournalOption, StoreOption
from tandem.runners.options.places import Home
from tandem.schemas.errors import UserError
from tandem.schemas.privacy.files import make_folder, set_mode, wider
from tandem.storage.urls import is_url

__all__ = ["exposed", "private"]

_MOST_LOOKED_AT: Final = 10_000
"""Most files that `status` checks: a journal of years has more, all with equal modes."""


def private(
    group: Annotated[
        str | None, typer.Option(metavar="NAME", help="share them with this group: its members may ask, and may write")
    ] = None,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
    journal: JournalOption = None,
) -> None:
    """Let nobody but you, or you and a group, reach what is in a home; what comes later is made the same way."""
    changed, places = 0, Home.of(home, store, journal)
    try:
        if not os.path.lexists(home):
            make_folder(home)
        for root, mine in _roots(home, places):
            for path, mode in wider(root, shared=group is not None, everything=True, within=mine):
                if group is not None:
                    shutil.chown(path, group=group)  # before the mode, of which it takes a part away
                changed += set_mode(path, mode, shared=group is not None)
    except LookupError:
        raise UserError(f"--group {group}: there is no such group; `getent group` shows those that there are") from None
    except OSError as error:
        raise UserError(f"{error.filename or home}: {error.strerror}; its owner can run this") from None
    whom = f"you and the group {group}" if group is not None else "you alone"
    say(f"{home}: {changed:,} files and folders changed; all of it is for {whom}{_others(home)}")


def exposed(home: str, places: Home) -> list[str]:
    """A line for the first files and folders that more users can access than should, with the remedy."""
    found: list[str] = []
    with suppress(UserError):  # no installation's folder: nothing is said of what others keep there
        for root, mine in _roots(home, places):
            seen = wider(root, limit=_MOST_LOOKED_AT, within=mine)
            found += [f"{path} ({mode & 0o7777:04o})" for path, mode in seen]
    if not found:
        return []
    shown = ", ".join(found[:3]) + (f" and {len(found) - 3:,} more" if len(found) > 3 else "")
    return [f"others can reach {shown}: `tandem private --home {home}` keeps them to you"]


def _others(home: str) -> str:
    """The names of foreign entries in the home, '' for none."""
    names = sorted(name for name in os.listdir(home) if not is_own(name))
    if not names:
        return ""
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return f"; not an installation's, and left as they are: {', '.join(names[:3])}{more}"


def _roots(home: str, places: Home) -> Iterator[tuple[str, Callable[[str], bool] | None]]:
    """(root, filter of the entries below it) for the home and its parts elsewhere. Raises UserError for a foreign
    folder.
    """
    inside = own_root(home) if not is_url(home) else None
    apart: list[str] = []
    if not is_url(places.journal):
        need_journal(places.journal)
        apart = [places.journal]
    if places.store.startswith("sqlite:///"):
        path = places.store.removeprefix("sqlite:///")
        need_store(path)
        apart += [f"{path}{ending}" for ending in ("", "-wal", "-shm", "-mark")]
    if inside is not None:
        yield inside, is_own
    for root in map(os.path.realpath, apart):
        if os.path.exists(root) and (inside is None or not Path(root).is_relative_to(inside)):
            yield root, None
