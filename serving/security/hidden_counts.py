"""Certificates for callers who may see only some keys: without the counts over all keys."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

__all__ = ["OF_ALL_KEYS", "without_counts", "without_numbers"]

OF_ALL_KEYS: Final = ("pending_late", "dead_letters", "conflicts", "in_flight", "residue")
"""Members of a certificate that count events of other keys, too."""
_REASONS: Final = (
    (re.compile(r"^\d+ late events"), "late events"),
    (re.compile(r"^\d+ dead letters"), "dead letters"),
    (re.compile(r"^batch has a residue of \d+ events"), "batch has a residue"),
    (re.compile(r"^in flight: \d+ events"), "events are in flight"),
    (re.compile(r"^missing in batch: .*"), "batch lacks something that it should have read"),
)


def without_counts(data: dict[str, Any]) -> dict[str, Any]:
    """An answer of `serving.questions.answers.answer_data` without counts over all keys.

    They are null in its certificates, and its reasons are given without numbers.
    """
    shown = dict(data)
    if "certificate" in shown:
        certificate = {**shown["certificate"], **dict.fromkeys(OF_ALL_KEYS), "missing": []}
        shown["certificate"] = certificate | {"reasons": without_numbers(certificate["reasons"])}
    if "sessions" in shown:
        shown["sessions"] = [{**each, "reasons": without_numbers(each["reasons"])} for each in shown["sessions"]]
    return shown


def without_numbers(reasons: Sequence[str]) -> list[str]:
    """The reasons why an answer isn't FINAL, without counts over all keys."""
    return [_plain(reason) for reason in reasons]


def _plain(reason: str) -> str:
    for pattern, words in _REASONS:
        reason = pattern.sub(words, reason)
    return reason
