"""One schedule of `visits`, as `tandem verify` runs it, of a definition's text."""

from __future__ import annotations

import json
from random import Random

from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import Definition, loads
from tandem.schemas.time.durations import SECOND
from tandem.verification.oracle.oracle import Oracle
from tandem.verification.running import Found, run_schedule
from tandem.verification.world.schedules import draw_schedule
from without_runner.result_stories import BEGIN

__all__ = ["run_text", "visits"]


def visits(count: int = 24) -> list[bytes]:
    """Payloads of three users, seventeen seconds apart."""
    events = [
        {"id": f"v{number}", "at": BEGIN + number * 17 * SECOND, "user": "abc"[number % 3], "amount": number % 5 - 1}
        for number in range(count)
    ]
    return [json.dumps(event).encode() for event in events]


def run_text(text: str, seed: int) -> Found:
    """The schedule of this seed. Raises Mismatch."""
    definition: Definition = loads(text)
    oracle, payloads = Oracle(compile_definition(definition)), visits()
    schedule = draw_schedule(definition, [oracle.event(payload) for payload in payloads], Random(seed))
    return run_schedule(definition, text, payloads, schedule, oracle)
