"""What a server is started with."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tandem.schemas.errors import UserError
from tandem.schemas.time.durations import DAY

__all__ = ["Limits", "Settings", "check_settings", "is_loopback"]

_LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may ask for; more is refused with a problem that names the limit."""

    span: int = 3660 * DAY
    """Microseconds of event time of an answer over all keys, a series, or sessions."""
    points: int = 20_000
    """Steps of a series."""
    rows: int = 10_000
    """Keys, sessions, messages and other entries of a list."""
    exported: int = 100_000
    """Rows of one page of an export."""
    sending: float = 15.0
    """Seconds until a request must have come whole."""
    seconds: float = 30.0
    """Until a question must be answered."""
    body: int = 64 * 1024
    """Bytes of a request's body."""
    target: int = 16 * 1024
    """Bytes of its path and query."""
    waiting: int = 64
    """Questions that wait for a reader; more are told to come again."""
    scanned: int = 256 << 20
    """Bytes of the journal that a look for raw messages reads."""
    sql_memory: int = 256 << 20
    """Bytes that a statement of SQL may take."""
    streams: int = 256
    """Streams of events that are open at once."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where a server listens, what it serves, and to whom."""

    home: Path
    """Folder of API keys and audit log."""
    store: str
    """URL of the view store."""
    journal: str
    """The journal's folder or URL."""
    host: str = "127.0.0.1"
    port: int = 8080
    names: tuple[str, ...] = ()
    """Names by which it may be called, besides `host` and those of this machine: in the Host header."""
    keys: bool = False
    """Only who has an API key, or a token, gets answers."""
    readers: int = 4
    """Threads that read the store."""
    max_age: int = 60 * 1_000_000
    """Freshness, microseconds: `/health/fresh` says no when the watermark of a served live run is older."""
    letters: str | None = None
    """Folder or URL of what couldn't be decoded; None: below the home."""
    place: str | None = None
    """The installation's home, a folder or URL; None: where keys and audit log are."""
    limits: Limits = field(default_factory=Limits)

    @property
    def key_file(self) -> Path:
        """Where the API keys are."""
        return self.home / "keys.json"

    @property
    def audit_file(self) -> Path:
        """Where it is written down what operators did."""
        return self.home / "audit.jsonl"

    @property
    def dead_letters(self) -> str:
        """Where what couldn't be decoded lies."""
        return self.letters or str(self.home / "deadletters")

    @property
    def known_hosts(self) -> frozenset[str]:
        """What a Host header may name: a page that a browser took from elsewhere names something else."""
        bound = () if self.host in ("0.0.0.0", "::") else (self.host,)
        return frozenset(name.lower() for name in (*_LOCAL_NAMES, *bound, *self.names))


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
