"""A Flink of their own for the tests of its faults."""

from __future__ import annotations

from on_engines.flink_fixtures import flink, flink_jars
from processes.stage_fixtures import emulator, patiently, polling, stage

__all__ = ["emulator", "flink", "flink_jars", "patiently", "polling", "stage"]
