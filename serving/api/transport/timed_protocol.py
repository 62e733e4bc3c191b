"""HTTP whose requests must arrive within a time: a client that sends a header a minute can't hold a connection.

uvicorn limits only the time between requests, so slow senders could hold all connections.
"""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["timed_protocol"]

_TOO_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class _TimedProtocol(HttpToolsProtocol):
    seconds: float
    _timer: TimerHandle | None = None
    _whole: bool = True
    """Whether no request is partly received."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm()

    def data_received(self, data: bytes) -> None:
        """A request's time begins with its first byte."""
        if self._timer is None and self._whole:
            self._arm()
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A request has begun."""
        self._whole = False
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """A request has arrived completely; its answer has limits of its own."""
        self._whole = True
        self._disarm()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def _arm(self) -> None:
        self._timer = self.loop.call_later(self.seconds, self._too_slow)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_TOO_SLOW)
        self.transport.close()


def timed_protocol(seconds: float) -> type[HttpToolsProtocol]:
    """The protocol of a server whose requests must have arrived completely after so many seconds."""
    return type("TimedProtocol", (_TimedProtocol,), {"seconds": seconds})
