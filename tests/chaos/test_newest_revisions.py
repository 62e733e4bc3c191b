"""Who knows nothing of Tandem but the messages has at the end what `tandem export` says, after kills and a backfill."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from processes.sent_results import clicks_with_results, sent_all, subscription_of
from processes.stages import ROOT, Stage, wait_for
from processes.trials import LIVE
from samples.click_traffic import traffic

from tandem.schemas.failpoints import FAILPOINT_VARIABLE
from tandem.schemas.time.instants import instant_of

SCRIPT = ROOT / "examples/results/newest.py"
IDLE = "5"

pytestmark = [
    pytest.mark.xdist_group("kills"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.timeout(1800),
]

Answers = dict[tuple[str, int], Any]


def newest(stage: Stage, result: str) -> Answers:
    """What the example keeps of a result; in an interpreter that can't import Tandem."""
    ran = subprocess.run(
        [sys.executable, "-P", str(SCRIPT), subscription_of(stage), "--until-idle", IDLE],
        env=stage.environment,
        cwd=stage.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    return {_place(line): (line["events"], line["results"]) for line in lines if line["result"] == result}


def exported(stage: Stage, definition: Path) -> Answers:
    file = stage.folder / "answers.jsonl"
    export = stage.start("export", str(definition), "--output", str(file))
    assert export.end() == 0, export.said()
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {_place(line): (line["events"], line["results"]) for line in lines}


def _place(line: dict[str, Any]) -> tuple[str, int]:
    key = line["key"]
    return json.dumps(list(key.values()) if isinstance(key, dict) else key), instant_of(line["start"])


INSTANTS = ("results-drained:2", "after-commit:20", "results-drained:4")
"""At which live, and who delivers within it, kill themselves."""


def test_the_example_ends_with_what_is_exported(stage: Stage) -> None:
    definition, messages = clicks_with_results(stage), traffic(random.Random(18), 1_200)
    for at, instant in enumerate(INSTANTS):
        stage.publish(messages[at :: len(INSTANTS)])
        live = stage.live([definition], *LIVE, env={FAILPOINT_VARIABLE: instant})
        assert live.end() == -signal.SIGKILL, live.said()
        wait_for("all that it started ends too", live.group_is_gone)
    live = stage.live([definition], *LIVE, "--until-idle", "11s")
    assert live.end() == 0, live.said()
    backfill = stage.start("backfill", "--definition", str(definition))
    assert backfill.end() == 0, backfill.said()
    assert "sent" in sent_all(stage, definition)
    answers = exported(stage, definition)
    assert len(answers) > 50
    assert newest(stage, "per_minute") == answers
