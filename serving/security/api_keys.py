"""API keys: made once, shown once, stored as hashes in one private file, looked up in constant time.

A key is `tandem_ID_SECRET`. The secret is 32 random bytes, so its SHA-256 can't be searched, and a stolen file reveals
no keys even without a slow hash. The id finds the entry; the secrets' hashes are compared in constant time, also
without an entry.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from tandem.schemas.errors import UserError
from tandem.schemas.privacy.files import make_folder, private
from tandem.serving.security.principals import Principal, Role
from tandem.serving.security.row_filters import Rows

__all__ = ["ApiKey", "KeyFile", "new_key"]

_PREFIX: Final = "tandem"
_NO_HASH: Final = "0" * 64
_LONGEST: Final = 200
"""Characters of the longest key that is checked."""


@dataclass(frozen=True)
class ApiKey:
    """One entry of the file; times are microseconds since 1970-01-01 UTC."""

    id: str
    name: str
    """A label for its users."""
    hash: str
    """SHA-256 of the secret, hexadecimal."""
    role: Role
    definitions: frozenset[str] | None
    rows: Rows
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None

    def valid_at(self, now: int) -> bool:
        """Whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    @property
    def principal(self) -> Principal:
        """The principal of this key."""
        return Principal(self.id, self.role, self.definitions, self.rows)

    def to_data(self) -> dict[str, Any]:
        """The entry as JSON data."""
        definitions = None if self.definitions is None else sorted(self.definitions)
        return {
            **{name: getattr(self, name) for name in ("id", "name", "hash", "created_at", "expires_at", "revoked_at")},
            "role": self.role.value,
            "definitions": definitions,
            "rows": self.rows.to_data(),
        }

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> ApiKey:
        """The inverse of `to_data`. Raises KeyError, TypeError or ValueError for other data."""
        definitions = data["definitions"]
        return cls(
            id=str(data["id"]),
            name=str(data["name"]),
            hash=str(data["hash"]),
            role=Role(data["role"]),
            definitions=None if definitions is None else frozenset(definitions),
            rows=Rows.from_data(data["rows"]),
            created_at=int(data["created_at"]),
            expires_at=data["expires_at"],
            revoked_at=data["revoked_at"],
        )


def new_key(
    name: str,
    role: Role,
    *,
    definitions: frozenset[str] | None = None,
    rows: Rows | None = None,
    now: int,
    expires_at: int | None = None,
) -> tuple[ApiKey, str]:
    """A new entry, and the key itself, which is stored nowhere."""
    number, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    made = ApiKey(number, name, _hash(secret), role, definitions, rows or Rows(), now, expires_at)
    return made, f"{_PREFIX}_{number}_{secret}"


@dataclass
class KeyFile:
    """The API keys of an installation, read again when the file changes."""

    path: Path
    _read: tuple[tuple[int, int, int], dict[str, ApiKey]] | None = field(default=None, repr=False)

    def entries(self) -> list[ApiKey]:
        """All entries, the oldest first. Raises UserError for a damaged file."""
        return list(self._entries().values())

    def principal(self, text: str, now: int) -> Principal | None:
        """The principal of a key; None for one that is unknown, expired or revoked."""
        prefix, _, rest = text[:_LONGEST].partition("_")
        number, _, secret = rest.partition("_")
        entry = self._entries().get(number)
        same = hmac.compare_digest(_hash(secret), entry.hash if entry is not None else _NO_HASH)
        if entry is None or not same or prefix != _PREFIX or not entry.valid_at(now):
            return None
        return entry.principal

    def still(self, number: str, now: int) -> Principal | None:
        """The principal of the key with this id; None once it is expired or revoked."""
        entry = self._entries().get(number)
        return entry.principal if entry is not None and entry.valid_at(now) else None

    def add(self, key: ApiKey) -> None:
        """Add an entry."""
        self._change(lambda entries: entries | {key.id: key})

    def revoke(self, number: str, now: int) -> ApiKey:
        """Revoke an entry for good; it stays in the list. Raises UserError for an unknown one."""

        def change(entries: dict[str, ApiKey]) -> dict[str, ApiKey]:
            if number not in entries:
                raise UserError(f"no API key {number!r}: `tandem keys list` shows those that there are")
            found = entries[number]
            return entries | {number: found if found.revoked_at is not None else replace(found, revoked_at=now)}

        return self._change(change)[number]

    def _entries(self) -> dict[str, ApiKey]:
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return {}
        mark = (found.st_mtime_ns, found.st_size, found.st_ino)
        if self._read is None or self._read[0] != mark:
            self._read = mark, self._parsed()
        return self._read[1]

    def _parsed(self) -> dict[str, ApiKey]:
        try:
            listed = [ApiKey.from_data(entry) for entry in json.loads(self.path.read_bytes())["keys"]]
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{self.path}: isn't a file of API keys ({type(error).__name__}); restore it") from error
        return {key.id: key for key in listed}

    def _change(self, change: Callable[[dict[str, ApiKey]], dict[str, ApiKey]]) -> dict[str, ApiKey]:
        with self._locked():
            entries = change(dict(self._entries()))
            text = json.dumps({"keys": [key.to_data() for key in entries.values()]}, indent=1)
            part = self.path.with_name(f"{self.path.name}.part")
            with open(part, "w", encoding="utf-8", opener=private) as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, self.path)
        return entries

    @contextmanager
    def _locked(self) -> Iterator[None]:
        make_folder(self.path.parent)
        with open(self.path.with_name(f"{self.path.name}.lock"), "a", opener=private) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
