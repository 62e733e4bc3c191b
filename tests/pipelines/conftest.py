"""Real processes for the tests of whole pipelines."""

from __future__ import annotations

from processes.stage_fixtures import emulator, patiently, polling, stage

__all__ = ["emulator", "patiently", "polling", "stage"]
