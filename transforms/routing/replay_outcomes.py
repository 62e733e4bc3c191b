"""Finds replays of dead letters in a batch, and their outcomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from tandem.formats.dead_letters.replays import REPLAY_OF, ReplayOf, without_replay
from tandem.schemas.definition.compiled import CompiledDefinition, Prepared
from tandem.schemas.messages import DeadLetter
from tandem.transforms.elements import ReplayOutcome, SourceBatch
from tandem.transforms.trial import try_messages

__all__ = ["EarlierLetters", "find_replays", "outcomes_of", "repeated"]


@dataclass(frozen=True, slots=True)
class EarlierLetters:
    """What is known about records that this run didn't route just now."""

    boundary: int
    """The last journal generation in the batch run that the run is based on."""
    noted: Callable[[str, int], bool]
    """Whether that batch run, or this run earlier, recorded (LANE/NUMBER, row) as a dead letter."""


def find_replays(batch: SourceBatch) -> dict[int, ReplayOf]:
    """The replays among a batch's messages, by row; empty for records of files."""
    if batch.messages is None or not batch.messages.num_rows:
        return {}
    attributes = batch.messages.column("attributes")
    if not len(attributes.keys) or not pc.any(pc.equal(attributes.keys, REPLAY_OF)).as_py():
        return {}
    named = pc.is_valid(pc.map_lookup(attributes, REPLAY_OF, "first")).to_numpy(zero_copy_only=False)
    found = {row: ReplayOf.of(dict(attributes[row].as_py())) for row in np.flatnonzero(named).tolist()}
    return {row: replay for row, replay in found.items() if replay is not None}


def outcomes_of(replays: Mapping[int, ReplayOf], dead: Sequence[DeadLetter]) -> tuple[ReplayOutcome, ...]:
    """The outcome of each replay, by row; one that isn't among the dead letters was readable."""
    letters = {letter.row: letter for letter in dead} if replays else {}
    return tuple(
        ReplayOutcome(row, of.position, of.row, of.attempt, True)
        if (letter := letters.get(row)) is None
        else ReplayOutcome(row, of.position, of.row, of.attempt, False, letter.stage, letter.reason)
        for row, of in sorted(replays.items())
    )


def repeated(
    compiled: CompiledDefinition,
    batch: SourceBatch,
    prepared: Prepared,
    replays: Mapping[int, ReplayOf],
    earlier: EarlierLetters | None,
) -> npt.NDArray[np.bool_]:
    """Whether each prepared event is a replay of a record that this definition counts itself.

    False for all where the definition deduplicates. Where it doesn't, a replay counts exactly if its original is a dead
    letter: by the record of it, else by decoding the original's bytes again.
    """
    flags = np.zeros(prepared.events.num_rows, bool)
    if not replays or compiled.definition.deduplicate or batch.messages is None:
        return flags
    rows = batch.decoded.rows[prepared.rows].tolist()
    for event, row in enumerate(rows):
        if row in replays:
            flags[event] = _original_counts(compiled, batch, row, replays[row], earlier)
    return flags


def _original_counts(
    compiled: CompiledDefinition, batch: SourceBatch, row: int, of: ReplayOf, earlier: EarlierLetters | None
) -> bool:
    if earlier is not None and earlier.noted(of.position, of.row):
        return False
    if earlier is not None and of.generation <= earlier.boundary:
        return True
    assert batch.messages is not None
    message = batch.messages.slice(row, 1).to_pylist()[0]
    original = (message["data"], of.publish_time, without_replay(dict(message["attributes"])))
    (verdict,) = try_messages(compiled, [original])
    return verdict.readable
