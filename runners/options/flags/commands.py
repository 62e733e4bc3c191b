"""The commands whose flags are in the table."""

from __future__ import annotations

from typing import Final

from tandem.runners.options.flags.flag import Command

__all__ = ["COMMANDS"]

COMMANDS: Final[dict[str, Command]] = {
    one.name: one
    for one in (
        Command(
            "live",
            "Run definitions over a Pub/Sub subscription (an unbounded Beam pipeline; takes Beam's flags too).",
            "tandem live --definition clicks.yaml --subscription projects/demo/subscriptions/clicks",
        ),
        Command(
            "backfill",
            "Run definitions over files and sealed generations, and publish (takes Beam's flags too).",
            "tandem backfill --definition clicks.yaml --files '2026-01-*.parquet' --complete-until 2026-02-01",
        ),
        Command(
            "publish",
            "Publish the records of files to a Pub/Sub topic, in order of a column, paced or flat out.",
            "tandem publish --definition clicks.yaml --files today.jsonl --topic projects/demo/topics/clicks",
        ),
        Command(
            "reconcile",
            "Hold batch against live and the journal, and repair it, with a receipt (takes Beam's flags).",
            "tandem reconcile clicks --dry-run",
            positional="definition",
        ),
        Command(
            "backtest",
            "Judge all windows of the past by rules, and say how much was judged, and what would have alerted.",
            "tandem backtest clicks.yaml '2026-01-*.parquet' --rules rules.yaml",
            positional="definition",
            rest="files",
        ),
        Command(
            "windowed",
            "Windowed results of a definition from files or Pub/Sub as JSON, without journal or store "
            "(takes Beam's flags).",
            "tandem windowed --definition clicks.yaml --files today.jsonl --window 1h --output results",
        ),
    )
}
"""The commands, by name."""
