"""A webhook whose path is its only secret, as that of a chat: nothing that anybody reads shows it."""

from __future__ import annotations

import base64
import bz2
import http.server
import json
import logging
import re
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from processes.ports import free_port
from servers.web import Web
from typer.testing import CliRunner
from without_runner.alert_cases import busy
from without_runner.alert_stories import AlertStory, rules_definition, rules_text

from tandem.app import app
from tandem.pipelines.launchables import launchable
from tandem.runners.options.reading import read_arguments
from tandem.schemas.rules.actions import shown_url

HERE = "127.0.0.1"
TOKENS = ("T04711ABC", "b-only-letters", "xoxb24CharactersOfASecret", "in-the-query")
PATH = f"/services/{'/'.join(TOKENS[:3])}?key={TOKENS[3]}"


class Echoing(http.server.BaseHTTPRequestHandler):
    """Refuses for good, and names the path, as many servers do."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(404)
        self.end_headers()
        self.wfile.write(f"The requested URL {self.path} was not found on this server".encode())

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def echoing() -> Iterator[str]:
    """The URL of a server that refuses what it gets."""
    server = http.server.ThreadingHTTPServer((HERE, 0), Echoing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{HERE}:{server.server_port}{PATH}"
    server.shutdown()
    server.server_close()


@dataclass
class Planted:
    """An installation with an alert that one webhook refuses, and that others can't be told."""

    home: Path
    definition: Path
    urls: tuple[str, ...]

    def said(self, *arguments: str) -> str:
        """All that a command says, checked."""
        done = CliRunner().invoke(app, list(arguments), env={"TANDEM_HOME": str(self.home)})
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert done.exit_code < 2, done.output
        return checked(done.output, " ".join(arguments))


def checked(text: str, where: str) -> str:
    """The text, in which no token is."""
    for token in TOKENS:
        assert token not in text, f"{token} in {where}: {text}"
    return text


@pytest.fixture
def planted(tmp_path: Path, echoing: str) -> Planted:
    urls = (echoing, f"http://{HERE}:{free_port()}{PATH}", f"http://{HERE}:{free_port()}{PATH}/alertmanager")
    kinds = ("webhook", "webhook", "alertmanager")
    to = [{kind: {"url": url, "allow": HERE}} for kind, url in zip(kinds, urls, strict=True)]
    rules = json.dumps({"busy": {"window": "1m", "expr": "n >= 2", "to": to}})
    made = Planted(tmp_path, tmp_path / "visits.yaml", urls)
    made.definition.write_text(rules_text(rules), encoding="utf-8")
    story = AlertStory(tmp_path / "views.db", rules_definition(rules), rules_text(rules))
    story.serve()
    busy(story, 0)
    story.watermark(1)
    story.close()
    return made


def test_no_command_shows_it(planted: Planted, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        said = planted.said("deliver", "--once", str(planted.definition))
    for url in planted.urls[1:]:
        assert shown_url(url) in said, said
    assert shown_url(planted.urls[0]) in planted.said("results", "dead", "visits")
    assert shown_url(planted.urls[1]) in planted.said("check", str(planted.definition))
    (alert,) = json.loads(planted.said("alerts", "list", "visits", "--json"))
    for arguments in (
        "status visits", "status visits --json", "doctor", "results list visits", "results list visits --json",
        "results dead visits --json", "alerts list visits", f"alerts show visits {alert['id']}",
        f"alerts show visits {alert['id']} --json", "alerts report visits", "publications visits",
        "sql SELECT|*|FROM|alerts", "receipts visits",
    ):  # fmt: skip
        planted.said(*(word.replace("|", " ") for word in arguments.split()))
    planted.said("results", "retry", "visits")
    checked(caplog.text, "the log")


def test_no_page_and_no_answer_shows_it(planted: Planted) -> None:
    planted.said("deliver", "--once", str(planted.definition))
    with Web.over(planted.home) as web:
        document = web.get("/openapi.json").json()
        paths = [path.replace("{name}", "visits") for path, of in document["paths"].items() if "get" in of]
        pages = ["/", "/definitions/visits", "/definitions/visits/alerts", "/definitions/visits/results", "/alerts"]
        found = 0
        for path in [*(path for path in paths if "{" not in path and not path.endswith("events")), *pages]:
            response = web.get(path)
            found += response.status_code == 200
            checked(response.text, path)
        assert found > 10


def test_no_graph_of_a_job_has_it(planted: Planted) -> None:
    """Graphs hold pickled definitions; whoever may see a job may read them."""
    given = ["--definition", str(planted.definition), "--home", str(planted.home)]
    given += ["--subscription", "projects/p/subscriptions/s"]
    (sketch,) = launchable("live").sketch(read_arguments("live", given))
    graph = unpacked(sketch.pipeline.to_runner_api().SerializeToString())
    assert b"n >= 2" in graph, "what is pickled is looked at"
    for token in TOKENS:
        assert token.encode() not in graph, token


def unpacked(data: bytes) -> bytes:
    """The bytes of a graph, with all that is packed in it unpacked, to any depth."""
    found = [data]
    for word in re.findall(rb"[A-Za-z0-9+/=]{24,}", data):
        with suppress(ValueError):
            packed = base64.b64decode(word, validate=True)
            for unpack in (bz2.decompress, zlib.decompress):
                with suppress(ValueError, OSError, zlib.error):
                    found.append(unpacked(unpack(packed)))
    return b"\n".join(found)


@pytest.mark.parametrize(
    "to",
    [
        pytest.param({"webhook": f"ftp://hooks.example.com{PATH}"}, id="another scheme"),
        pytest.param({"webhook": f"hooks.example.com{PATH}"}, id="no scheme"),
        pytest.param({"webhook": f"https://hooks.example.com:0{PATH}"}, id="no port"),
        pytest.param({"webhook": f"https://hooks.example.com:no{PATH}"}, id="a port that is none"),
        pytest.param({"webhook": f"https://me:{TOKENS[2]}@hooks.example.com/"}, id="credentials"),
        pytest.param({"webhook": f"https://hooks.example.com{PATH}#fragment"}, id="a fragment"),
        pytest.param({"webhook": f"https://hooks.example.com{PATH} "}, id="a space"),
        pytest.param([{"webhook": f"https://hooks.example.com{PATH}"}] * 2, id="twice"),
        pytest.param({"webhook": {"url": "https://a.example.com", "allow": f"https://b{PATH}"}}, id="allowed"),
        pytest.param({"webhook": {"url": "https://a.example.com", "secret": f"https://b{PATH}"}}, id="as a secret"),
    ],
)
def test_what_is_wrong_is_said_without_it(tmp_path: Path, to: object) -> None:
    definition = tmp_path / "visits.yaml"
    rules = json.dumps({"busy": {"window": "1m", "expr": "n >= 2", "to": to}})
    definition.write_text(rules_text(rules), encoding="utf-8")
    done = CliRunner().invoke(app, ["check", str(definition)])
    assert done.exit_code != 0
    checked(f"{done.output} {done.exception}", "check")
