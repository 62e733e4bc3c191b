"""Receivers whose answers never are whole: each is named, within the time there is, and the alert is sent again."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from without_runner.alert_stories import AlertStory, rules_definition
from without_runner.result_stories import Event

from tandem.pipelines.delivery.actions.posting import post
from tandem.pipelines.delivery.actions.webhooks import WebhookWriter
from tandem.schemas.errors import DeliveryError
from tandem.schemas.rules.actions import HttpTarget

HERE, TOKEN = "127.0.0.1", "T0123/B4567/an-unguessable-path"
SECONDS = 0.4
"""For one request, in these tests."""
RULES = "{{busy: {{window: 1m, expr: n >= 1, to: {{webhook: {{url: '{url}', allow: 127.0.0.1}}}}}}}}"

GOOD = b"HTTP/1.1 204 No Content\r\n\r\n"

Talk = Callable[["Raw", socket.socket], None]


def said(text: bytes) -> Talk:
    """Says this, and hangs up."""
    return lambda raw, peer: peer.sendall(text)


def repeated(begin: bytes, text: bytes) -> Talk:
    """Says this again and again, as fast as it is read."""

    def talk(raw: Raw, peer: socket.socket) -> None:
        peer.sendall(begin)
        while not raw.ends.is_set():
            peer.sendall(text)

    return talk


def dripped(begin: bytes, each: bytes = b"x") -> Talk:
    """A byte now and then, each well within any time limit of its own."""

    def talk(raw: Raw, peer: socket.socket) -> None:
        peer.sendall(begin)
        while not raw.ends.wait(SECONDS / 20):
            peer.sendall(each)

    return talk


def nothing(raw: Raw, peer: socket.socket) -> None:
    """Takes the request, and says nothing."""
    raw.ends.wait()


@dataclass
class Raw:
    """A server that says what it is told to over a plain socket, whatever is asked."""

    talk: Talk
    reads: bool = True
    asked: int = 0
    ends: threading.Event = field(default_factory=threading.Event)
    server: socket.socket = field(default_factory=lambda: socket.create_server((HERE, 0)))

    @property
    def url(self) -> str:
        return f"http://{HERE}:{self.server.getsockname()[1]}/services/{TOKEN}"

    def serve(self) -> None:
        while True:
            try:
                peer, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(peer,), daemon=True).start()

    def _answer(self, peer: socket.socket) -> None:
        with peer, suppress(OSError):
            self.asked += 1
            if self.reads:
                self._read(peer)
            self.talk(self, peer)

    def _read(self, peer: socket.socket) -> None:
        stream = peer.makefile("rb")
        length = 0
        while (line := stream.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        stream.read(length)


@pytest.fixture
def raw() -> Iterator[Raw]:
    made = Raw(said(GOOD))
    threading.Thread(target=made.serve, daemon=True).start()
    yield made
    made.ends.set()
    made.server.shutdown(socket.SHUT_RDWR)
    made.server.close()


HEAD = b"HTTP/1.1 200 OK\r\n"
BROKEN = [
    pytest.param(said(b""), "closed connection without response", id="hangs up at once"),
    pytest.param(said(b"HTTP/1.1 20"), "cut off|HTTP/1.1 20", id="cut off in the status"),
    pytest.param(said(HEAD), "cut off within its headers", id="cut off before a header"),
    pytest.param(said(HEAD + b"Content-Le"), "cut off within its headers", id="cut off in a header's name"),
    pytest.param(said(HEAD + b"Content-Length: 0\r\n"), "cut off within its headers", id="cut off before the end"),
    pytest.param(said(HEAD + b"Content-Length: 9\r\n\r\nbegun"), "cut off", id="cut off in the body"),
    pytest.param(
        said(HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\nbegun"), "IncompleteRead", id="cut off in a chunk"
    ),
    pytest.param(repeated(HEAD, b"X-More: and more\r\n"), "more than 100 headers", id="endless headers"),
    pytest.param(repeated(HEAD + b"X-Long: ", b"x" * 4096), "more than 65536 bytes", id="an endless header"),
    pytest.param(repeated(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "no whole answer within", id="endless promises"),
    pytest.param(nothing, "no whole answer within", id="says nothing"),
    pytest.param(dripped(b""), "no whole answer within", id="drips the status"),
    pytest.param(dripped(HEAD + b"X-Slow: "), "no whole answer within", id="drips a header"),
    pytest.param(dripped(HEAD, b"A: b\r\n"), "no whole answer within|100 headers", id="drips headers"),
    pytest.param(dripped(HEAD + b"Content-Length: 100000\r\n\r\n"), "no whole answer within", id="drips the body"),
    pytest.param(said(b"\x00\xff\x16\x03not HTTP\r\n\r\n"), "not HTTP", id="speaks something else"),
    pytest.param(said(b"HTTP/1.1 200 " + TOKEN.encode()), "cut off within its headers", id="says the path"),
]


@pytest.mark.parametrize(("talk", "says"), BROKEN)
def test_what_isnt_a_whole_answer(raw: Raw, talk: Talk, says: str) -> None:
    raw.talk = talk
    target = HttpTarget.model_validate({"url": raw.url, "allow": HERE})
    with pytest.raises(DeliveryError, match=says) as failed:
        post(target, raw.url, b"{}", {}, SECONDS)
    text = str(failed.value)
    assert text.startswith(f"http://{HERE}:"), text
    assert [part for part in TOKEN.split("/") if part in text] == []


def test_a_handshake_that_drips(raw: Raw) -> None:
    raw.talk, raw.reads = dripped(b"\x16\x03\x03\x40\x00"), False
    url = raw.url.replace("http://", "https://")
    with pytest.raises(DeliveryError, match="no whole answer within"):
        post(HttpTarget.model_validate({"url": url, "allow": HERE}), url, b"{}", {}, SECONDS)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", id="without headers"),
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", id="with bare line ends"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", id="continued"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\nok", id="until it hangs up"),
    ],
)
def test_what_is_a_whole_answer(raw: Raw, text: bytes) -> None:
    raw.talk = said(text)
    target = HttpTarget.model_validate({"url": raw.url, "allow": HERE})
    assert post(target, raw.url, b"{}", {}, 20.0).status in (200, 204)


@pytest.mark.parametrize(
    "talk",
    [
        pytest.param(said(HEAD + b"Content-Le"), id="cut off within the headers"),
        pytest.param(repeated(HEAD, b"X-More: and more\r\n"), id="endless headers"),
        pytest.param(dripped(HEAD + b"X-Slow: "), id="drips"),
    ],
)
def test_the_alert_is_sent_again(raw: Raw, tmp_path: Path, talk: Talk) -> None:
    """After a while, and only then; meanwhile the reason is kept, and nothing of the path."""
    story = AlertStory(tmp_path / "v.db", rules_definition(RULES.format(url=raw.url)))
    (rule,) = story.compiled.definition.rules.values()
    (action,) = rule.to
    assert action.webhook is not None
    story.deliverer._writers[action.label] = WebhookWriter(
        action.webhook, lambda target, url, body, headers: post(target, url, body, headers, SECONDS)
    )
    story.serve()
    story.live(Event(0.1))
    story.watermark(1)
    raw.talk = talk
    done = story.deliverer.run_once()
    assert done is not None
    assert (done.sent, len(done.failed)) == (0, 1)
    assert TOKEN not in done.failed[0]
    raw.talk = said(GOOD)
    waits = story.deliverer.run_once()
    assert waits is not None
    assert (waits.sent, raw.asked) == (0, 1)
    story.wait(60)
    again = story.deliverer.run_once()
    assert again is not None
    assert (again.sent, raw.asked, story.outbox()) == (1, 2, [])
    story.close()
