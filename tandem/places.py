"""Where an installation keeps its journal and its views, without importing Beam.

The same places as `tandem.runners.options.config.Home`; a test holds both to each other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from tandem.schemas.errors import UserError
from tandem.storage.urls import NO_STORE, is_url, place_of

if TYPE_CHECKING:
    from tandem.journal.storage.blobs import BlobStore
    from tandem.views.store import ViewStore

__all__ = ["HomeOption", "JournalOption", "Places", "StoreOption", "existing_journal", "existing_store", "journal_of"]

HomeOption = Annotated[
    str,
    typer.Option("--home", metavar="PLACE", envvar="TANDEM_HOME", help="folder or URL of journal and view store"),
]
StoreOption = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="the view store (default: HOME/views.db)")
]
JournalOption = Annotated[
    str | None,
    typer.Option("--journal", metavar="PLACE", help="the journal's folder, gs:// or s3:// (default: HOME/journal)"),
]


@dataclass(frozen=True, slots=True)
class Places:
    """The journal's folder or URL, and the view store's URL."""

    journal: str
    store: str

    @classmethod
    def of(cls, home: str, store: str | None = None, journal: str | None = None) -> Places:
        """The places that the flags name."""
        root = place_of(home, "--home")
        if store is None and is_url(root):
            raise UserError(NO_STORE)
        url = store or f"sqlite:///{root}/views.db"
        return cls(
            journal=journal_of(home, journal),
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


def journal_of(home: str, journal: str | None) -> str:
    """The journal's place that the flags name."""
    return place_of(journal, "--journal") if journal else f"{place_of(home, '--home')}/journal"


def existing_journal(place: str) -> BlobStore:
    """The journal, which must be there. Raises UserError without one."""
    from tandem.journal.storage.opening import journal_exists, open_blobs

    if not journal_exists(place):
        raise UserError(f"no journal at {place}: no live run was started there; --home names another")
    return open_blobs(place)
