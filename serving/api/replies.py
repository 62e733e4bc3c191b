"""Replies: bytes with an entity tag, cached while the store doesn't change."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from tandem.schemas.privacy.printable import json_text

__all__ = ["JSON", "AnswerAge", "Reply", "ReplyCache", "is_known", "json_reply", "tagged"]

JSON: Final = "application/json"
_MOST_BYTES: Final = 32 << 20
_LARGEST: Final = 1 << 20
"""Most bytes of a cached reply."""


@dataclass(frozen=True, slots=True)
class AnswerAge:
    """The freshness of an answer; times in microseconds UTC."""

    final: bool
    end: int
    """End of its window."""
    known_to: int | None
    """Up to when its sources are known to be complete: live's watermark, without live the completeness of batch; None:
    unknown."""

    def staleness(self, now: int) -> int | None:
        """How far `known_to` lies behind the clock, or behind the window's end where that is over; None: unknown."""
        return None if self.known_to is None else max(min(now, self.end) - self.known_to, 0)


@dataclass(frozen=True)
class Reply:
    """A successful answer. Only that of a past publication may be cached by clients: settled answers can still be
    corrected.
    """

    body: bytes
    tag: str
    """The value of ETag: the publication that was read, and a digest of the body."""
    content_type: str = JSON
    more: tuple[tuple[str, str], ...] = ()
    """Further headers."""
    age: AnswerAge | None = None
    """The freshness of an answer; None for other replies."""
    for_ever: bool = False
    """Whether the answer never changes, so that a client may keep it."""

    @property
    def headers(self) -> dict[str, str]:
        """The headers, without the length."""
        kept = "private, max-age=31536000, immutable" if self.for_ever else "private, no-cache"
        common = {"etag": self.tag, "cache-control": kept, "vary": "authorization, cookie"}
        return {"content-type": self.content_type, **common, **dict(self.more)}

    def sent_headers(self, *, known: bool) -> list[tuple[bytes, bytes]]:
        """The headers as they are sent: with the length; of a reply that the client has already without its type."""
        return self._of_known if known else self._whole

    @cached_property
    def _whole(self) -> list[tuple[bytes, bytes]]:
        named = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        return [*named, (b"content-length", str(len(self.body)).encode())]

    @cached_property
    def _of_known(self) -> list[tuple[bytes, bytes]]:
        return [(name, value) for name, value in self._whole if name not in (b"content-type", b"content-length")]


def json_reply(data: Any, publication: int = 0) -> Reply:
    """A reply of data as JSON."""
    return tagged(json_text(data).encode(), publication)


def tagged(body: bytes, publication: int, content_type: str = JSON, more: tuple[tuple[str, str], ...] = ()) -> Reply:
    """A reply of these bytes, with their tag."""
    digest = hashlib.blake2b(body, digest_size=12).hexdigest()
    return Reply(body, f'"{publication}-{digest}"', content_type, more)


def is_known(if_none_match: str, tag: str) -> bool:
    """Whether the caller has this reply already, by its If-None-Match."""
    if if_none_match.strip() == "*":
        return True
    return tag in (each.strip().removeprefix("W/") for each in if_none_match.split(","))


@dataclass
class ReplyCache:
    """A cache of replies by question, each valid for one state of the store. The least recently used one is evicted
    first.
    """

    most_bytes: int = _MOST_BYTES
    _kept: OrderedDict[Hashable, tuple[str, Reply]] = field(default_factory=OrderedDict)
    _bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, question: Hashable, mark: str) -> Reply | None:
        """The reply to a question, if it is of the store's state with this mark."""
        with self._lock:
            found = self._kept.get(question)
            if found is None or found[0] != mark:
                return None
            self._kept.move_to_end(question)
            return found[1]

    def put(self, question: Hashable, mark: str, reply: Reply) -> None:
        """Store a reply that was read at this mark or later."""
        if len(reply.body) > _LARGEST:
            return
        with self._lock:
            before = self._kept.pop(question, None)
            self._bytes += len(reply.body) - (len(before[1].body) if before is not None else 0)
            self._kept[question] = mark, reply
            while self._bytes > self.most_bytes:
                _, (_, oldest) = self._kept.popitem(last=False)
                self._bytes -= len(oldest.body)
