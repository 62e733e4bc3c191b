"""`tandem status --json` and `tandem publications --json`: times as ISO 8601 in UTC, durations as seconds."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tandem.schemas.certificate import time_text

if TYPE_CHECKING:
    from tandem.serving.installation.journal_state import JournalState
    from tandem.views.rows import Publication

__all__ = ["publication_data", "status_data"]

_TIMES = (
    "published_at",
    "created_at",
    "started_at",
    "updated_at",
    "watermark",
    "files_until",
    "journal_until",
    "oldest",
    "until",
)


def status_data(report: dict[str, Any], journal: JournalState | None, now: int) -> dict[str, Any]:
    """The report of the views, and under `journal` the state of the journal (None without one)."""
    data: dict[str, Any] = {name: _with_times(value) for name, value in report.items()}
    data["journal"] = _journal(journal, now) if journal is not None else None
    return data


def publication_data(publication: Publication, served: int) -> dict[str, Any]:
    """One publication; `served` is the number of the served one, and becomes whether it is this one."""
    data: dict[str, Any] = _with_times(asdict(publication))
    return {**data, "kind": publication.kind.value, "served": publication.ordinal == served}


def _with_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _time(item) if name in _TIMES else _with_times(item) for name, item in value.items()}
    return [_with_times(item) for item in value] if isinstance(value, list) else value


def _time(value: int | None) -> str | None:
    return None if value is None else time_text(value)


def _journal(journal: JournalState, now: int) -> dict[str, Any]:
    return {
        "current": journal.current,
        "current_since": _time(journal.current_since),
        "sealed": journal.sealed,
        "runs": [
            {
                "id": run.id,
                "lanes": run.lanes,
                "ended": run.ended,
                "last_sign_of_life": _time(run.last_sign),
            }
            for run in journal.runs
        ],
        "held_up": [
            {
                "generation": held.generation,
                "seconds": None if held.since is None else max(now - held.since, 0) / 1_000_000,
                "lanes": [asdict(lane) for lane in held.lanes],
            }
            for held in journal.held
        ],
    }
