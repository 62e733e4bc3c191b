"""Real processes for the conformance suite; its results go to the file that TANDEM_CONFORMANCE names."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from on_engines.flink_fixtures import flink, flink_jars
from processes.stage_fixtures import emulator, patiently, polling, stage

__all__ = ["emulator", "flink", "flink_jars", "patiently", "polling", "stage"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Note how each scenario ended; skipped ones, too."""
    report: Any = yield
    results, parameters = os.environ.get("TANDEM_CONFORMANCE"), getattr(item, "callspec", None)
    if results and parameters is not None and (call.when == "call" or report.skipped):
        played = {name: parameters.params[name].name for name in ("scenario", "engine")}
        played["threshold"] = parameters.params["threshold"]
        with Path(results).open("a", encoding="utf-8") as file:
            file.write(json.dumps({**played, "outcome": report.outcome}) + "\n")
    return report
