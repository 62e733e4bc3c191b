"""Options for the places of an installation, and access to existing ones, without importing Beam."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from tandem.runners.options.places import Home
from tandem.schemas.errors import UserError
from tandem.schemas.telemetry.logs import FORMATS, VARIABLE, log_format
from tandem.schemas.telemetry.traces import ENDPOINT

if TYPE_CHECKING:
    from tandem.journal.storage.blobs import BlobStore
    from tandem.views.store import ViewStore

__all__ = [
    "HomeOption",
    "JournalOption",
    "LogFormatOption",
    "OtlpEndpointOption",
    "StoreOption",
    "existing_journal",
    "existing_store",
]

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

OtlpEndpointOption = Annotated[
    str | None,
    typer.Option("--otlp-endpoint", metavar="URL", envvar=ENDPOINT, help="send spans there, by OTLP over HTTP"),
]
LogFormatOption = Annotated[
    str,
    typer.Option(
        "--log-format",
        metavar="|".join(FORMATS),
        envvar=VARIABLE,
        parser=log_format,
        help="lines on standard error: for people, or structured",
    ),
]


@contextmanager
def existing_store(places: Home) -> Iterator[ViewStore]:
    """The view store, which must exist. Raises NoStoreError for a missing one, StoreError for a damaged one."""
    from tandem.views.store import ViewStore

    store = ViewStore(places.store, create=False)
    try:
        yield store
    finally:
        store.close()


def existing_journal(place: str) -> BlobStore:
    """The journal, which must exist. Raises UserError for a missing one."""
    from tandem.journal.storage.opening import journal_exists, open_blobs

    if not journal_exists(place):
        raise UserError(f"no journal at {place}: no live run was started there; --home names another")
    return open_blobs(place)
