"""What a real live run and a real server log: JSON alone, with what it is about, and without secrets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from processes.stages import ROOT, TANDEM, Stage, Tandem

pytestmark = pytest.mark.xdist_group("processes")

CLICKS = ROOT / "examples/clicks/clicks.yaml"
SECRET = "planted-passw0rd"


def told(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def click(number: int) -> bytes:
    fields = {"event_id": f"e{number}", "event_time": f"2026-01-04T21:05:{number:02d}Z", "user_id": number}
    return json.dumps({**fields, "page": "home", "country": "DE", "amount": 2.5}).encode()


def test_a_live_run_logs_what_it_is_about(stage: Stage, patiently: Callable[..., Any]) -> None:
    stage.variables = {"TANDEM_LOG_FORMAT": "json", "SOME_PASSWORD_URL": f"postgresql://me:{SECRET}@db/x"}
    live = stage.live([CLICKS], "--generation-interval", "1s", "--until-idle", "30s")
    stage.publish([click(number) for number in range(5)])
    patiently("a sealed generation", lambda: live.has_ended() or "generation sealed" in live.said())
    live.signal_group(signal.SIGTERM)
    assert live.end() == 0, live.said()
    found = told(live.said())
    by_event = {line["event"]: line for line in found}
    for event in ("run started", "lane opened", "generation sealed", "lane closed", "run ended"):
        assert event in by_event, live.said()
    run, sealed = by_event["run started"]["run"], by_event["generation sealed"]
    assert (sealed["run"], sealed["lane"], sealed["definition"], sealed["launch"]) == (run, 0, "clicks", 1)
    assert sealed["generation"] >= 1
    served = next(line for line in found if line["event"].startswith("publication "))
    assert (served["run"], served["definition"]) == (run, "clicks")
    assert any(line["event"].startswith("draining") for line in found)
    assert SECRET not in live.said()


def test_what_ends_a_live_run_is_a_line_too(stage: Stage) -> None:
    live: Tandem = stage.live([CLICKS], "--log-format", "json", "--until-idle", "1s")
    assert live.end() != 0
    last = told(live.said())[-1]
    assert (last["level"], "--until-idle" in last["event"]) == ("error", True)


def test_a_server_logs_how_it_starts_and_ends(stage: Stage, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_bytes(click(1))
    assert stage.start("backfill", "--definition", str(CLICKS), "--files", str(events)).end() == 0
    command = [*TANDEM, "serve", "--port", "0", "--log-format", "json", "--home", str(stage.home)]
    quiet = {**os.environ, "TANDEM_LOG_FORMAT": "console"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=quiet, **pipes) as process:  # type: ignore[call-overload]
        address = process.stdout.readline()
        with urlopen(f"{address.split()[-1]}/health/live", timeout=60) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    serving, ending = told(errors)
    assert f"serving at {serving['address']}\n" == address
    assert (ending["event"], ending["signal"], ending["level"]) == ("ending", "SIGTERM", "info")
