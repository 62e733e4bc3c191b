"""The jobs that Tandem and its peers do: the same aggregates of the same clicks, by different keys.

Per minute (UTC) and key: events, sum, least, most and mean of `amount`, distinct `user_id`; an event that is sent twice
(equal `event_id`) counts once. An answer has the columns KEY..., `tile` (start of the minute, microseconds since 1970
or a timestamp), and those of MEASURES.
"""

from __future__ import annotations

from typing import Final

__all__ = ["JOBS", "MEASURES", "MINUTE"]

JOBS: Final[dict[str, tuple[str, ...]]] = {
    "clicks": ("page",),
    "clicks_wide": ("page", "country"),
    "clicks_users": ("user_id",),
}
"""Name of the definition, and the fields of its key."""
MEASURES: Final = ("events", "amount", "least", "most", "mean", "users")
MINUTE: Final = 60_000_000
"""Microseconds."""
