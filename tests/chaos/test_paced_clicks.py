"""The publisher of the suites of kills goes no further ahead than live can read, and goes on once it has."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, cast

from processes.stages import wait_for
from samples.click_traffic import Publisher

AHEAD, FAST = 50, 1e6


@dataclass
class Topic:
    """A stage of which only the topic is there."""

    messages: list[bytes] = field(default_factory=list)

    def publish(self, payloads: list[bytes]) -> None:
        self.messages += payloads


def test_it_waits_for_answers() -> None:
    topic, answered = Topic(), [0]
    publisher = Publisher(cast(Any, topic), [], FAST, random.Random(1), answered=lambda: answered[0], ahead=AHEAD)
    with publisher:
        wait_for("it is as far ahead as it may be", lambda: publisher.sent == AHEAD)
        answered[0] = 100
        wait_for("it goes on", lambda: publisher.sent == AHEAD + 120)
    publisher.finish()
    assert len(topic.messages) == AHEAD + 120 + publisher.copies
