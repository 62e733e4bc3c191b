"""Makes a client from a user's name of an installation."""

from __future__ import annotations

import os

from tandem.schemas.errors import UserError
from tandem.serving.client.values import Client
from tandem.storage.urls import NO_STORE, is_url, place_of

__all__ = ["connect"]


def connect(
    home_or_url: str | os.PathLike[str] = "tandem-data",
    *,
    api_key: str | None = None,
    store: str | None = None,
    journal: str | None = None,
) -> Client:
    """A client of an installation: of a home (folder, or gs:// and s3:// with `store`), or of a `tandem serve`.

    `api_key`: for a server that requires one. `store`, `journal`: as `--store` and `--journal`, for a home. Raises
    NoStoreError before the first run, UserError for contradicting arguments.
    """
    place = os.fspath(home_or_url)
    if place.startswith(("http://", "https://")):
        from tandem.serving.client.remote import RemoteClient

        if store is not None or journal is not None:
            raise UserError(f"{place} is a server, which knows its store and journal")
        return RemoteClient(place, api_key)
    if api_key is not None:
        raise UserError(f"{place} is a home: api_key goes with the address of a `tandem serve`")
    from tandem.serving.client.local import LocalClient

    root = place_of(place, "home")
    if store is None and is_url(root):
        raise UserError(NO_STORE)
    url = store or f"{root}/views.db"
    url = url if "://" in url else f"sqlite:///{os.path.abspath(url)}"
    return LocalClient(url, place_of(journal, "journal") if journal else f"{root}/journal", f"{root}/deadletters")
