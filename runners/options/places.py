"""The places of an installation: its journal, its views and its dead letters."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass

from tandem.schemas.errors import UserError
from tandem.storage.urls import NO_STORE, beside, is_url, place_of

__all__ = ["Home", "journal_of", "scratch_below"]


@dataclass(frozen=True, slots=True)
class Home:
    """The places of one installation, all below one folder by default."""

    journal: str
    store: str
    dead_letters: str

    @property
    def layers(self) -> str:
        """The place of files of batch states: beside an embedded view store, or else beside the journal."""
        path = self.store.removeprefix("sqlite:///")
        return beside(self.journal, "layers") if "://" in path else os.path.join(os.path.dirname(path), "layers")

    @classmethod
    def at(cls, home: str) -> Home:
        """The default places below a folder or URL; a view store can't lie below a URL. Raises UserError."""
        root = place_of(home, "--home")
        store = "" if is_url(root) else f"sqlite:///{root}/views.db"
        return cls(f"{root}/journal", store, f"{root}/deadletters")

    @classmethod
    def of(
        cls, home: str, store: str | None = None, journal: str | None = None, dead_letters: str | None = None
    ) -> Home:
        """The places of flags with these names. Raises UserError for a view store of another kind, or none."""
        usual = cls.at(home)
        url = store or usual.store
        if not url:
            raise UserError(NO_STORE)
        kind, given, _ = url.partition("://")
        if given and kind.partition("+")[0] not in ("sqlite", "postgresql"):
            raise UserError(f"--store: a view store is sqlite:///PATH or postgresql://..., found {kind}")
        return cls(
            journal=journal_of(home, journal),
            store=url if given else f"sqlite:///{os.path.abspath(url)}",
            dead_letters=place_of(dead_letters, "--dead-letters") if dead_letters else usual.dead_letters,
        )


def journal_of(home: str, journal: str | None) -> str:
    """The journal's place by the flags."""
    return place_of(journal, "--journal") if journal else f"{place_of(home, '--home')}/journal"


def scratch_below(home: str) -> str:
    """The folder for temporary files of pipelines on this machine; for a home that is a URL the system's own."""
    root = place_of(home, "--home")
    return f"{tempfile.gettempdir()}/tandem-scratch-{os.getuid()}" if is_url(root) else f"{root}/scratch"
