"""Webhooks and Alertmanager against receivers that answer well, badly, slowly, elsewhere, or not at all."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from processes.ports import free_port
from without_runner.alert_stories import AlertStory, rules_definition
from without_runner.result_stories import Event

from tandem.pipelines.delivery import deliverer
from tandem.pipelines.delivery.actions.posting import RefusedAddressError, checked_addresses, post
from tandem.pipelines.delivery.actions.prometheus_alerts import AlertmanagerWriter, posted_alert
from tandem.pipelines.delivery.actions.webhooks import SIGNATURE, WebhookWriter, signature
from tandem.schemas.errors import DeliveryError
from tandem.schemas.rules.actions import HttpTarget, shown_url
from tandem.views.outbox.messages import Message, revive

HERE = "127.0.0.1"
ALERT = {
    "episode": "e1", "revision": 1, "status": "firing", "state": "TENTATIVE", "rule": "busy",
    "since": "2026-01-05T08:00:00Z", "until": "2026-01-05T08:01:00Z",
    "labels": {"alertname": "busy", "user": "ann", "empty": ""}, "annotations": {"summary": "much"},
}  # fmt: skip


def message(ordinal: int = 1, **changes: Any) -> Message:
    payload = json.dumps({**ALERT, **changes})
    return Message(ordinal, "visits", "webhook x", "alert busy", 0, 1, '["ann"]', 1, 1, f"id{ordinal}", payload)


class Receiver:
    """A server on this machine that answers as it is told, and keeps what it got."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[Callable[[http.server.BaseHTTPRequestHandler], None]] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                receiver.got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                answer = receiver.answers.pop(0) if receiver.answers else status(204)
                answer(self)

            def log_message(self, *_: Any) -> None:
                return

        self.server = http.server.ThreadingHTTPServer((HERE, 0), Handler)
        self.url = f"http://{HERE}:{self.server.server_port}/hook?token=abc"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def status(code: int, **headers: str) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(b"told\nso")

    return answer


def cut_off(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 20")
    handler.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


def target(url: str, **fields: Any) -> HttpTarget:
    return HttpTarget.model_validate({"url": url, "allow": HERE, **fields})


def test_a_webhook_is_signed(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_KEY", "s3cret")
    writer = WebhookWriter(target(receiver.url, secret="HOOK_KEY"), clock=lambda: 1_700_000_000.5)
    assert writer.send([message(1), message(2)]) == {}
    (path, headers, body), (_, second, _) = receiver.got
    assert (path, headers["idempotency-key"], second["idempotency-key"]) == ("/hook?token=abc", "id1", "id2")
    expected = hmac.new(b"s3cret", b"1700000000." + body, hashlib.sha256).hexdigest()
    assert headers[SIGNATURE.lower()] == f"t=1700000000,v1={expected}" == signature(b"s3cret", 1_700_000_000, body)
    assert json.loads(body)["rule"] == "busy"
    assert "authorization" not in headers


def test_a_secret_that_isnt_set(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOK_KEY", raising=False)
    with pytest.raises(DeliveryError, match="the variable HOOK_KEY, whose value signs, isn't set"):
        WebhookWriter(target(receiver.url, secret="HOOK_KEY")).send([message()])
    assert receiver.got == []


@pytest.mark.parametrize("code", [429, 500, 503, 408])
def test_what_may_go_better_later(receiver: Receiver, code: int) -> None:
    receiver.answers = [status(code)]
    writer = WebhookWriter(target(receiver.url))
    with pytest.raises(DeliveryError, match=f"answered {code}: told so"):
        writer.send([message()])
    assert writer.send([message()]) == {}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("120", 120, id="seconds"),
        pytest.param("Fri, 31 Dec 1999 23:59:59 GMT", 0, id="a-date-that-is-over"),
        pytest.param("-5", 0, id="negative"),
        pytest.param("soon", 0, id="neither"),
        pytest.param("9" * 40, 999_999_999, id="for-ever"),
    ],
)
def test_retry_after(receiver: Receiver, text: str, seconds: float) -> None:
    receiver.answers = [status(429, **{"Retry-After": text})]
    with pytest.raises(DeliveryError, match="answered 429") as failed:
        WebhookWriter(target(receiver.url)).send([message()])
    assert failed.value.after == seconds


RULES = "{{busy: {{window: 1m, expr: n >= 1, to: [log, {{webhook: {{url: '{url}', allow: 127.0.0.1}}}}]}}}}"


@pytest.fixture
def story(receiver: Receiver, tmp_path: Path) -> Iterator[AlertStory]:
    """Alerts of three users that wait for the receiver, and for a log."""
    made = AlertStory(tmp_path / "v.db", rules_definition(RULES.format(url=receiver.url)))
    del made.deliverer._writers[f"webhook {receiver.url}"]
    made.serve()
    made.live(*(Event(0.1, user=user) for user in ("ann", "bob", "cid")))
    made.watermark(1)
    yield made
    made.close()


def users(receiver: Receiver) -> list[str]:
    return [json.loads(body)["key"]["user"] for _, _, body in receiver.got]


def test_what_was_taken_in_isnt_sent_again(receiver: Receiver, story: AlertStory) -> None:
    """The second fails: the first is done, the third waits behind it, and the other output has all."""
    receiver.answers = [status(204), status(503)]
    assert len(story.deliver()) == 3
    assert users(receiver) == ["ann", "bob"]
    story.wait(1)
    story.deliver()
    assert users(receiver) == ["ann", "bob", "bob", "cid"]
    assert story.outbox() == []


def test_a_slow_receiver_has_its_turn(receiver: Receiver, story: AlertStory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each round sends one message to who is slow, and all to the others."""
    monkeypatch.setattr(deliverer, "_TURN", -1.0)
    for round_ in (1, 2, 3):
        story.deliver()
        assert (len(receiver.got), len(story.output.sent)) == (round_, 3)


def test_a_receiver_that_wants_to_be_left_alone(receiver: Receiver, story: AlertStory) -> None:
    receiver.answers = [status(429, **{"Retry-After": "120"})]
    story.deliver()
    story.wait(119)
    story.deliver()
    assert len(receiver.got) == 1
    story.wait(1)
    story.deliver()
    assert users(receiver) == ["ann", "ann", "bob", "cid"]


def test_what_is_refused_is_set_aside_and_comes_again(receiver: Receiver, story: AlertStory) -> None:
    receiver.answers = [status(400)]
    story.deliver()
    (dead,) = story.outbox()
    assert (dead.state, dead.error, users(receiver)) == ("dead", "answered 400: told so", ["ann", "bob", "cid"])
    assert revive(story.store.database, "visits") == 1
    story.deliver()
    assert (users(receiver)[3:], story.outbox()) == (["ann"], [])


@pytest.mark.parametrize(("code", "headers"), [(400, {}), (404, {}), (302, {"Location": "http://169.254.169.254/"})])
def test_what_is_refused_for_good(receiver: Receiver, code: int, headers: dict[str, str]) -> None:
    receiver.answers = [status(code, **headers)]
    assert WebhookWriter(target(receiver.url)).send([message(7), message(8)]) == {7: f"answered {code}: told so"}
    assert len(receiver.got) == 2, "a redirect isn't followed, and the next message is sent"


def test_an_answer_that_is_cut_off(receiver: Receiver) -> None:
    receiver.answers = [cut_off]
    with pytest.raises(DeliveryError) as failed:
        WebhookWriter(target(receiver.url)).send([message()])
    assert str(failed.value) == f"{shown_url(receiver.url)}: HTTP/1.1 20", "its receiver and reason, not its path"


def test_a_message_that_fails_again_and_again_is_set_aside(receiver: Receiver) -> None:
    writer = WebhookWriter(target(receiver.url))
    for _ in range(11):
        receiver.answers = [status(500)]
        with pytest.raises(DeliveryError):
            writer.send([message(1), message(2)])
    receiver.answers = [status(500)]
    assert writer.send([message(1), message(2)]) == {1: "tried 12 times: answered 500: told so"}


@pytest.mark.parametrize("drips", [False, True], ids=["silent", "drip-by-drip"])
def test_receivers_that_hang(receiver: Receiver, drips: bool) -> None:
    ended = threading.Event()

    def hang(handler: http.server.BaseHTTPRequestHandler) -> None:
        while not ended.wait(0.02):
            if drips:
                try:
                    handler.wfile.write(b"X")
                except OSError:
                    return

    receiver.answers = [hang]
    try:
        with pytest.raises(DeliveryError, match=r"no whole answer within 0\.3 s"):
            post(target(receiver.url), receiver.url, b"{}", {}, seconds=0.3)
    finally:
        ended.set()


def test_nobody_listens() -> None:
    with pytest.raises(DeliveryError, match="refused"):
        WebhookWriter(target(f"http://{HERE}:{free_port()}/")).send([message()])


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("127.0.0.1", id="this-machine"),
        pytest.param("10.1.2.3", id="private"),
        pytest.param("192.168.1.1", id="private-c"),
        pytest.param("100.64.0.1", id="carrier"),
        pytest.param("169.254.169.254", id="metadata"),
        pytest.param("0.0.0.0", id="any"),
        pytest.param("224.0.0.1", id="multicast"),
        pytest.param("::1", id="this-machine-6"),
        pytest.param("fe80::1", id="link-local-6"),
        pytest.param("fd00:ec2::254", id="metadata-6"),
        pytest.param("::ffff:127.0.0.1", id="mapped"),
        pytest.param("::ffff:169.254.169.254", id="mapped-metadata"),
        pytest.param("64:ff9b::7f00:1", id="nat64"),
        pytest.param("2002:7f00:1::", id="6to4"),
        pytest.param("::127.0.0.1", id="compatible"),
    ],
)
def test_addresses_that_arent_of_the_internet(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    kind = socket.AF_INET6 if ":" in address else socket.AF_INET
    found = [(socket.AF_INET, 1, 6, "", ("93.184.215.14", 80)), (kind, 1, 6, "", (address, 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(RefusedAddressError, match="no address of the internet"):
        checked_addresses("hooks.example.com", 80)
    assert len(checked_addresses("hooks.example.com", 80, ("hooks.example.com",))) == 2


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "localhost"])
def test_other_spellings_of_this_machine(host: str) -> None:
    with pytest.raises(DeliveryError):
        checked_addresses(host, 80)


def test_a_name_is_resolved_once(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads elsewhere when it is asked again isn't asked again."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: Any, *rest: Any, **more: Any) -> Any:
        if host != "rebind.example.com":
            return real(host, *rest, **more)
        asked.append(host)
        address = HERE if len(asked) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    url = f"http://rebind.example.com:{receiver.server.server_port}/"
    assert WebhookWriter(HttpTarget(url=url, allow=("rebind.example.com",))).send([message()]) == {}
    assert asked == ["rebind.example.com"]
    assert receiver.got[0][1]["host"] == url.removeprefix("http://").rstrip("/")
    with pytest.raises(RefusedAddressError):
        WebhookWriter(HttpTarget(url=url)).send([message()])


def test_no_proxy_is_asked(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://{HERE}:{free_port()}")
    assert WebhookWriter(target(receiver.url)).send([message()]) == {}


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("ftp://a.example.com/", "no http:// or https:// URL"),
        ("http://me:pw@a.example.com/", "no credentials in a URL"),
        ("http:///path", "no http:// or https:// URL"),
        ("http://a.example.com/a b", "letters that a URL can't have"),
    ],
)
def test_urls_that_are_none(url: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        HttpTarget(url=url)


def test_what_alertmanager_gets(receiver: Receiver) -> None:
    now = 1_800_000_000
    writer = AlertmanagerWriter(target(f"http://{HERE}:{receiver.server.server_port}/am/"), clock=lambda: now)
    assert writer.send([message(1), message(2, status="resolved", state="CONFIRMED", revision=2)]) == {}
    path, _, body = receiver.got[0]
    firing, resolved = json.loads(body)
    assert path == "/am/api/v2/alerts"
    assert firing["labels"] == resolved["labels"] == {"alertname": "busy", "user": "ann"}
    assert firing["annotations"]["tandem_state"] == "TENTATIVE"
    assert (resolved["startsAt"], resolved["endsAt"]) == ("2026-01-05T08:00:00Z", "2026-01-05T08:01:00Z")
    assert firing["endsAt"] > "2027"


def test_one_alert_that_alertmanager_refuses(receiver: Receiver) -> None:
    receiver.answers = [status(400), status(200), status(400)]
    writer = AlertmanagerWriter(target(f"http://{HERE}:{receiver.server.server_port}"))
    assert writer.send([message(1), message(2)]) == {2: "answered 400: told so"}


def test_events_ahead_of_the_clock() -> None:
    """Alertmanager refuses an alert that ends before it begins."""
    posted = posted_alert({**ALERT, "status": "resolved"}, 0)
    assert posted["startsAt"] < posted["endsAt"]


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    """A real one, where it is installed."""
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if program is None:
        if os.environ.get("TANDEM_ALERTMANAGER") == "required" or os.environ.get("CI") == "true":
            raise AssertionError("prometheus-alertmanager is required, and isn't installed")
        pytest.skip("prometheus-alertmanager isn't installed (apt install prometheus-alertmanager)")
    (tmp_path / "am.yml").write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
    port = free_port()
    flags = [f"--config.file={tmp_path}/am.yml", f"--storage.path={tmp_path}/data", "--cluster.listen-address="]
    process = subprocess.Popen([program, *flags, f"--web.listen-address={HERE}:{port}"], stderr=subprocess.DEVNULL)
    try:
        _ready(f"http://{HERE}:{port}/-/ready")
        yield f"http://{HERE}:{port}"
    finally:
        process.kill()
        process.wait()


def _ready(url: str) -> None:
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{url} didn't come up")


def test_the_real_alertmanager(alertmanager: str) -> None:
    writer = AlertmanagerWriter(target(alertmanager))
    assert writer.send([message(1)]) == {}
    assert _active(alertmanager) == [("busy", "ann", "TENTATIVE")]
    assert writer.send([message(2, status="resolved", state="WITHDRAWN", revision=2)]) == {}
    assert _active(alertmanager) == []


def _active(url: str) -> list[tuple[str, str, str]]:
    with urllib.request.urlopen(f"{url}/api/v2/alerts?active=true", timeout=10) as answer:
        found = json.load(answer)
    return [(a["labels"]["alertname"], a["labels"]["user"], a["annotations"]["tandem_state"]) for a in found]
