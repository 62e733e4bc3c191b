"""POSTs to a URL of a rule, guarded against server-side request forgery.

The host's name is resolved once, every address that it has is checked, and the connection goes to one that was: a name
that resolves differently a moment later has no effect. Addresses that aren't of the internet (private, of this machine,
link-local and with it the metadata services of clouds, and these inside of IPv6) are refused unless the host is allowed
by name. Redirects and proxies of the environment are ignored, and no credential of a cloud is sent.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from tandem.schemas.errors import DeliveryError
from tandem.schemas.rules.actions import HttpTarget, shown_url, without_path

__all__ = ["RefusedAddressError", "Reply", "checked_addresses", "post"]

_SECONDS: Final = 10.0
"""For one whole request, however slowly the receiver answers."""
_MOST_BYTES: Final = 4_096
"""Most bytes that are read of an answer's body, for messages."""
_PORTS: Final = {"http": 80, "https": 443}
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class RefusedAddressError(DeliveryError):
    """The host has an address to which alerts aren't sent."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The receiver's answer."""

    status: int
    text: str
    """The beginning of its body, on one line."""
    after: float = 0.0
    """Seconds that the receiver asks to wait (Retry-After)."""


def post(target: HttpTarget, url: str, body: bytes, headers: Mapping[str, str], seconds: float = _SECONDS) -> Reply:
    """Send JSON to a URL of the target's host. Raises DeliveryError without a whole answer in time."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    address = checked_addresses(host, port, target.allow)[0]
    connection = _Connection(host, port, str(address), seconds, tls=parts.scheme == "https")
    late = threading.Timer(seconds, connection.abort)
    late.daemon = True
    late.start()
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        data = answer.read(_MOST_BYTES)
        if answer.length and len(data) < _MOST_BYTES:
            raise ConnectionError("the answer was cut off")
        text = without_path(" ".join(data.decode(errors="replace").split()), target.url)
        return Reply(answer.status, text[:200], _seconds(answer.getheader("Retry-After")))
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = without_path(_reason(error, connection.aborted, seconds), target.url)
        raise DeliveryError(f"{shown_url(target.url)}: {reason}") from error
    finally:
        late.cancel()
        connection.close()


def _seconds(text: str | None) -> float:
    """Seconds of a Retry-After, given in seconds or as a date; 0 for none, and for other texts."""
    if text is None:
        return 0.0
    if text.strip().isascii() and text.strip().isdigit():
        return float(text.strip()[:9])
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return 0.0


def checked_addresses(host: str, port: int, allowed: tuple[str, ...] = ()) -> list[Address]:
    """The addresses of a host, if all are allowed. Raises RefusedAddressError, DeliveryError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise DeliveryError(f"host {host}: {getattr(error, 'strerror', None) or error}") from error
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    for address in addresses:
        if host not in allowed and not all(map(_is_of_the_internet, _meanings(address))):
            raise RefusedAddressError(
                f"host {host} is {address}, no address of the internet; `allow: {host}` lets alerts go there"
            )
    return addresses


def _meanings(address: Address) -> Iterator[Address]:
    """The address, and those that it embeds."""
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        for inner in (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())):
            if inner is not None:
                yield inner
        if address in _NAT64 or int(address) < 2**32:  # of NAT64, and formerly IPv4-compatible
            yield ipaddress.IPv4Address(int(address) & (2**32 - 1))


def _is_of_the_internet(address: Address) -> bool:
    return address.is_global and not address.is_multicast and not address.is_reserved


class _Lines:
    """The lines of an answer's head."""

    def __init__(self, stream: Any) -> None:
        self._stream, self.last = stream, b""

    def readline(self, most: int) -> bytes:
        self.last = self._stream.readline(most)
        return self.last

    def close(self) -> None:
        self._stream.close()


class _Answer(http.client.HTTPResponse):
    """An answer whose head has to end: the standard library takes one that is cut off there for a whole one."""

    def begin(self) -> None:
        stream: Any = self.fp
        lines: Any = _Lines(stream)
        self.fp = lines
        try:
            super().begin()
        finally:
            if self.fp is lines:
                self.fp = stream
        if lines.last not in (b"\r\n", b"\n"):
            raise ConnectionError("the answer was cut off within its headers")


class _Connection(http.client.HTTPConnection):
    """A connection to a checked address, whatever the host's name resolves to by now; TLS verifies the name."""

    response_class = _Answer

    def __init__(self, host: str, port: int, address: str, seconds: float, *, tls: bool) -> None:
        super().__init__(host, port, timeout=seconds)
        self._address, self._tls = address, tls
        self.aborted = False
        self.default_port = 443 if tls else 80

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        if self._tls:
            context = ssl.create_default_context()
            self.sock = secured = context.wrap_socket(
                self.sock, server_hostname=self.host, do_handshake_on_connect=False
            )
            if not self.aborted:
                secured.do_handshake()  # while `abort` knows the socket: a peer may take its time with it
        if self.aborted:
            self.abort()

    def abort(self) -> None:
        """Fail the request on this connection, from another thread."""
        self.aborted = True
        if self.sock is not None:
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return


def _reason(error: Exception, late: bool, seconds: float) -> str:
    if late or isinstance(error, TimeoutError):
        return f"no whole answer within {seconds:g} s"
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
