"""The settings of a server, and the limits of its requests."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

from tandem.schemas.errors import UserError
from tandem.schemas.time.durations import DAY

__all__ = ["Limits", "Settings", "check_settings", "is_loopback"]

_LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one request; larger ones are refused with a problem that names the limit."""

    span: int = 3660 * DAY
    """Microseconds of event time in an answer over all keys, a series, or sessions."""
    points: int = 20_000
    """Most steps of a series."""
    rows: int = 10_000
    """Keys, sessions, messages and other entries of a list."""
    exported: int = 100_000
    """Rows of one page of an export."""
    sending: float = 15.0
    """Seconds until a request must have arrived completely."""
    seconds: float = 30.0
    """Seconds until a question must be answered."""
    body: int = 64 * 1024
    """Bytes of a request's body."""
    target: int = 16 * 1024
    """Bytes of its path and query."""
    waiting: int = 64
    """Questions that wait for a reader; further ones are refused with a request to retry."""
    scanned: int = 256 << 20
    """Bytes of the journal that a search for raw messages reads."""
    sql_memory: int = 256 << 20
    """Bytes of memory for a statement of SQL."""
    streams: int = 256
    """Concurrent streams of events."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The address of a server, the data that it serves, and its authentication."""

    home: Path
    """Folder of API keys and audit log."""
    store: str
    """URL of the view store."""
    journal: str
    """The journal's folder or URL."""
    host: str = "127.0.0.1"
    port: int = 8080
    names: tuple[str, ...] = ()
    """Host names of the server, beside `host` and those of this machine, that a Host header may have."""
    keys: bool = False
    """Whether an API key, or a token, is required."""
    readers: int = 4
    """Threads that read the store."""
    max_age: int = 60 * 1_000_000
    """Freshness, microseconds: `/health/fresh` fails when the watermark of a served live run is older."""
    letters: str | None = None
    """Folder or URL of dead letters; None: below the home."""
    place: str | None = None
    """The installation's home, a folder or URL; None: the folder of keys and audit log."""
    limits: Limits = field(default_factory=Limits)

    @property
    def key_file(self) -> Path:
        """The file of the API keys."""
        return self.home / "keys.json"

    @property
    def audit_file(self) -> Path:
        """The audit log of operators' actions."""
        return self.home / "audit.jsonl"

    @property
    def dead_letters(self) -> str:
        """The folder or URL of dead letters."""
        return self.letters or str(self.home / "deadletters")

    @property
    def known_hosts(self) -> frozenset[str]:
        """Valid names in a Host header: a page that a browser loaded from another site sends another name."""
        return _known_hosts(self.host, self.names)


@lru_cache(maxsize=16)
def _known_hosts(host: str, names: tuple[str, ...]) -> frozenset[str]:
    bound = () if host in ("0.0.0.0", "::") else (host,)
    return frozenset(name.lower() for name in (*_LOCAL_NAMES, *bound, *names))


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_settings(settings: Settings) -> None:
    """Raise UserError for an address that others reach without authentication, or that no Host header can name."""
    if is_loopback(settings.host):
        return
    if not settings.keys:
        raise UserError(
            f"--host {settings.host}: others could ask everything there; `--auth` asks for API keys "
            "(`tandem keys create`), or listen on 127.0.0.1"
        )
    if settings.host in ("0.0.0.0", "::") and not settings.names:
        raise UserError(
            f"--host {settings.host}: by which name is it called? --name tandem.example.com, as often as needed"
        )
