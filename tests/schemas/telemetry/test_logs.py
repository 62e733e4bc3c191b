"""Lines of a log: plain as ever, or structured, each with what it is about, and never a password."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tandem.schemas.errors import UserError
from tandem.schemas.privacy.secrets import keep_secret
from tandem.schemas.telemetry.context import current, keep, within
from tandem.schemas.telemetry.logs import log_as, log_format, logged, structured

_LOG = logging.getLogger("tandem.of.a.test")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("tandem")
    before, about = (root.level, ours.level), current()
    keep(**dict.fromkeys(about))
    yield
    log_as("plain")
    keep(**{**dict.fromkeys(current()), **about})
    root.setLevel(before[0])
    ours.setLevel(before[1])


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_plain_logs_are_lines_for_people(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TANDEM_LOG", raising=False)
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.StreamHandler()])
    keep_secret("planted-password")
    log_as("plain")
    log_as("plain")
    _LOG.info("chatter")
    _LOG.warning("store %s: locked by process 7 planted-password\x1b[2J", "/x")
    said = capsys.readouterr().err
    assert said.startswith("warning: store /x: locked by process 7 ***")
    assert (said.count("\n"), "\x1b" in said, "tandem." in said) == (1, False, False)


def test_plain_logs_have_their_loggers_where_they_are_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANDEM_LOG", "info")
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    log_as("plain")
    _LOG.warning("something")
    assert "warning: " not in capsys.readouterr().err


def test_plain_logs_keep_the_form_of_their_handler(capsys: pytest.CaptureFixture[str]) -> None:
    log_as("plain")
    assert not logged("something")
    assert not structured()
    assert capsys.readouterr() == ("", "")


def test_a_line_says_what_it_is_about(capsys: pytest.CaptureFixture[str]) -> None:
    log_as("json")
    keep(run="r-1", definition="clicks")
    with within(lane=2):
        _LOG.info("%s sealed", "generation", extra={"generation": 7, "definition": "orders"})
    assert logged("without a lane", logging.WARNING, backlog=3)
    first, second = lines(capsys)
    assert first.pop("timestamp").endswith("Z")
    about = {"run": "r-1", "definition": "orders", "lane": 2, "generation": 7}
    assert first == {**about, "event": "generation sealed", "level": "info", "logger": "tandem.of.a.test"}
    assert (second["level"], second["run"], second["backlog"], "lane" in second) == ("warning", "r-1", 3, False)


@pytest.mark.parametrize("form", ["console", "json"])
def test_no_line_has_a_password_or_steers_a_terminal(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    keep_secret("planted-password")
    log_as(form)
    logged("to postgresql://me:hunter22@db/x\x1b[2J", place="password=planted-password", many=["planted-password"])
    try:
        raise ValueError("planted-password\x1b]0;title")
    except ValueError:
        _LOG.exception("with a trace")
    said = capsys.readouterr().err
    assert "hunter22" not in said
    assert "planted-password" not in said
    assert "\x1b]0" not in said
    assert "[2J" in said
    assert "ValueError" in said


def test_a_line_is_one_line_whatever_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    log_as("json")
    logged('first\nsecond {"level": "error"}')
    assert [line["event"] for line in lines(capsys)] == ['first\nsecond {"level": "error"}']


def test_libraries_are_heard_from_warnings_on(capsys: pytest.CaptureFixture[str]) -> None:
    log_as("json")
    logging.getLogger("somebody.else").info("chatter")
    logging.getLogger("somebody.else").warning("trouble")
    assert [line["event"] for line in lines(capsys)] == ["trouble"]


def test_another_format_is_refused() -> None:
    with pytest.raises(UserError, match="one of plain, console, json"):
        log_format("xml")


def test_plain_logs_need_no_structlog() -> None:
    code = "import sys, tandem.app as a; a.log_as('plain'); print('structlog' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
