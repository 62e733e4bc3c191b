"""Where an installation keeps its journal and its views, without importing Beam.

The same places as `tandem.runners.options.config.Home`; a test holds both to each other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tandem.schemas.errors import UserError

if TYPE_CHECKING:
    from tandem.journal.storage.blobs import LocalBlobs
    from tandem.views.store import ViewStore

__all__ = ["HomeOption", "JournalOption", "Places", "StoreOption", "existing_journal", "existing_store"]

HomeOption = Annotated[
    str,
    typer.Option("--home", metavar="DIR", envvar="TANDEM_HOME", help="folder of journal and view store"),
]
StoreOption = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="the view store (default: HOME/views.db)")
]
JournalOption = Annotated[
    str | None, typer.Option("--journal", metavar="DIR", help="the journal's folder (default: HOME/journal)")
]


@dataclass(frozen=True, slots=True)
class Places:
    """The journal's folder and the view store's URL."""

    journal: str
    store: str

    @classmethod
    def of(cls, home: str, store: str | None = None, journal: str | None = None) -> Places:
        """The places that the flags name."""
        root = Path(home).absolute()
        url = store or f"sqlite:///{root / 'views.db'}"
        return cls(
            journal=os.path.abspath(journal) if journal else str(root / "journal"),
            store=url if "://" in url else f"sqlite:///{os.path.abspath(url)}",
        )


@contextmanager
def existing_store(places: Places) -> Iterator[ViewStore]:
    """The view store, which must be there. Raises NoStoreError without one, StoreError for a damaged one."""
    from tandem.views.store import ViewStore

    store = ViewStore(places.store, create=False)
    try:
        yield store
    finally:
        store.close()


def existing_journal(places: Places) -> LocalBlobs:
    """The journal, which must be there. Raises UserError without one."""
    from tandem.journal.storage.blobs import LocalBlobs

    if not Path(places.journal).is_dir():
        raise UserError(f"no journal at {places.journal}: no live run was started there; --home names another")
    return LocalBlobs(places.journal)
