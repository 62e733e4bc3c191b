"""Tries whether a definition can read single messages now, without a pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from tandem.formats.messages import decode_messages
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.messages import MESSAGE_SCHEMA

__all__ = ["Verdict", "try_messages"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a message."""

    stage: str = ""
    """The stage at which it fails: 'decode', 'validate' or 'expression'; '' if it doesn't."""
    reason: str = ""

    @property
    def readable(self) -> bool:
        """Whether it becomes an event, or is filtered."""
        return not self.stage


def try_messages(
    compiled: CompiledDefinition, messages: Sequence[tuple[bytes, int, Mapping[str, str]]]
) -> list[Verdict]:
    """One verdict for each (payload, publish time in microseconds, attributes)."""
    payloads, times, attributes = zip(*messages, strict=True) if messages else ((), (), ())
    columns = [
        pa.array([""] * len(messages), pa.string()),
        pa.array(times, pa.int64()),
        pa.array([sorted(each.items()) for each in attributes], pa.map_(pa.string(), pa.string())),
        pa.array(payloads, pa.binary()),
    ]
    batch = pa.RecordBatch.from_arrays(columns, schema=MESSAGE_SCHEMA)
    decoded = decode_messages(compiled.definition.source, compiled.source_columns, batch)
    verdicts = [Verdict()] * len(messages)
    for letter in decoded.dead:
        verdicts[letter.row] = Verdict(letter.stage, letter.reason)
    for row, reason in compiled.prepare(decoded.events).failed.items():
        verdicts[int(decoded.rows[row])] = Verdict("expression", reason)
    return verdicts
