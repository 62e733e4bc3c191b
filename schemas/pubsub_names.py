"""Names of Pub/Sub's resources: `projects/PROJECT/topics/NAME`, and likewise subscriptions and schemas."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["PART", "resource_name", "subscription_name", "topic_name"]

PART: Final = "[!-.0-~]+"
"""Matches a project, or the last part of a name: what can be seen of ASCII, but for the slash."""
_LONGEST: Final = 1_000


def resource_name(text: str, kind: str) -> str:
    """The text, a name of this kind ("topics"). Raises ValueError for another one."""
    if len(text) > _LONGEST or not re.fullmatch(f"projects/{PART}/{kind}/{PART}", text):
        raise ValueError(f"{text[:120]!r} is not the name of a {kind[:-1]}; write projects/PROJECT/{kind}/NAME")
    return text


def topic_name(text: str) -> str:
    """The name of a topic. Raises ValueError for another text."""
    return resource_name(text, "topics")


def subscription_name(text: str) -> str:
    """The name of a subscription. Raises ValueError for another text."""
    return resource_name(text, "subscriptions")
