"""Real processes for the tests of crashes and faults."""

from __future__ import annotations

from processes.stage_fixtures import emulator, patiently, polling, stage

__all__ = ["emulator", "patiently", "polling", "stage"]
