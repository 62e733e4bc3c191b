"""Pages that make all that they need: they are run as they stand, and print what they show."""

from __future__ import annotations

from typing import Final

from documents.blocks import ROOT

__all__ = ["BY_THEMSELVES", "HOW_TO"]

HOW_TO: Final = ROOT / "docs/how-to"
_NAMES: Final = (
    "alert",
    "ask-with-sql",
    "backtest-rules",
    "files-as-they-are",
    "runbook",
    "send-results",
    "serve",
    "windows",
)
BY_THEMSELVES: Final = [ROOT / "docs/tutorials/first-answer.md", *(HOW_TO / f"{name}.md" for name in _NAMES)]
