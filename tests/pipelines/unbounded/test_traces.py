"""One batch of messages of a real live run as spans: pull, journal, fold, store, revision, delivery."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes.stages import ROOT, Stage
from servers.span_collector import Collected, attributes_of, collecting

from tandem.schemas.errors import UserError
from tandem.schemas.telemetry.traces import ENDPOINT, trace_to

pytestmark = pytest.mark.xdist_group("processes")

CLICKS = ROOT / "examples/clicks/clicks.yaml"
STEPS = ("pull", "decode", "journal", "acknowledge", "fold", "store", "tally", "revise", "deliver")
SECRET = "planted-passw0rd"


def clicks_with_results(folder: Path) -> Path:
    text = CLICKS.read_text().replace("clicks.avsc", f"{CLICKS.parent}/clicks.avsc")
    path = folder / "clicks.yaml"
    path.write_text(
        f"{text}\nresults:\n  per_minute: {{window: 1m, trigger: {{early: 1s}}, to: [{{files: {folder}/sent}}]}}\n"
    )
    return path


def click(number: int) -> bytes:
    fields = {"event_id": f"e{number}", "event_time": f"2026-01-04T21:05:{number:02d}Z", "user_id": number}
    return json.dumps({**fields, "page": SECRET, "country": "DE", "amount": 2.5}).encode()


def complete(collected: Collected) -> bool:
    return {f"tandem.{step}" for step in STEPS} <= {span.name for span in list(collected.spans)}


def test_a_batch_is_one_trace_from_pull_to_delivery(
    stage: Stage, tmp_path: Path, patiently: Callable[..., Any]
) -> None:
    with collecting() as collected:
        live = stage.live([clicks_with_results(tmp_path)], "--otlp-endpoint", collected.endpoint)
        stage.publish([click(number) for number in range(5)])
        patiently("all steps", lambda: live.has_ended() or complete(collected))
        assert not live.has_ended(), live.said()
        live.signal_group(signal.SIGTERM)
        assert live.end() == 0, live.said()
    first = min(collected.named("tandem.segment"), key=lambda span: span.start_time_unix_nano)
    place = attributes_of(first)
    assert str(place["tandem.lane"]).endswith("/0000")
    of_it = {span.name for span in collected.spans if span.trace_id == first.trace_id}
    assert of_it == {"tandem.segment", *(f"tandem.{step}" for step in STEPS)}
    for span in collected.spans:
        if span.trace_id == first.trace_id and span.name != "tandem.segment":
            assert span.parent_span_id == first.span_id
            assert (attributes_of(span)["tandem.segment"], span.end_time_unix_nano >= span.start_time_unix_nano) == (
                place["tandem.segment"],
                True,
            )
    sent = collected.named("tandem.deliver")[0]
    assert (attributes_of(sent)["tandem.output"], attributes_of(sent)["tandem.definition"]) == ("files", "clicks")
    assert collected.services == {"tandem"}
    assert SECRET.encode() not in collected.raw


def test_an_endpoint_that_is_away_stops_nothing(stage: Stage, patiently: Callable[..., Any]) -> None:
    live = stage.live([CLICKS], "--until-idle", "15s", env={ENDPOINT: "http://127.0.0.1:9"})
    stage.publish([click(number) for number in range(5)])
    assert live.end() == 0, live.said()
    assert sum(stage.view(CLICKS).counts().values()) == 5


def test_without_an_endpoint_nothing_is_imported() -> None:
    code = (
        "import sys, tandem.pipelines.live, tandem.pipelines.delivery.deliverer\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_another_protocol_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT, "")
    with pytest.raises(UserError, match="begins with http"):
        trace_to("localhost:4317")
