"""Protocols of the values that writers of the view store take: the transforms' own elements fit as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa

__all__ = ["BatchUpdateLike", "CrossBoundaryDuplicateLike", "LiveUpdateLike", "SegmentLike", "TallyLike", "UpdateLike"]


class TallyLike(Protocol):
    """The outcomes of the routed events of one generation in one tile and shard, since the live run's start."""

    @property
    def generation(self) -> int: ...
    @property
    def counted(self) -> int: ...
    @property
    def duplicates(self) -> int: ...
    @property
    def conflicts(self) -> int: ...


class CrossBoundaryDuplicateLike(Protocol):
    """An event that live counted in a generation after that of another copy."""

    @property
    def hash(self) -> int: ...
    @property
    def content(self) -> int: ...
    @property
    def counted_generation(self) -> int: ...
    @property
    def earlier_generation(self) -> int: ...


class UpdateLike(Protocol):
    """States of one tile and shard."""

    @property
    def tile(self) -> int: ...
    @property
    def shard(self) -> int: ...
    @property
    def block(self) -> pa.RecordBatch: ...


class LiveUpdateLike(UpdateLike, Protocol):
    """New whole states of the (generation, key) rows of one tile and shard that changed, with their tallies."""

    @property
    def tallies(self) -> Sequence[TallyLike]: ...
    @property
    def cross_duplicates(self) -> Sequence[CrossBoundaryDuplicateLike]: ...
    @property
    def attempt(self) -> int: ...
    @property
    def replaces(self) -> bool: ...


class BatchUpdateLike(UpdateLike, Protocol):
    """The counts of a batch run in one tile and shard; `ids` has columns HASH, CONTENT, GENERATION."""

    @property
    def ids(self) -> pa.RecordBatch: ...


class SegmentLike(Protocol):
    """The outcomes of one segment's records: received = routed + filtered + late + dead."""

    @property
    def position(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def generation(self) -> int: ...
    @property
    def received(self) -> int: ...
    @property
    def routed(self) -> int: ...
    @property
    def filtered(self) -> int: ...
    @property
    def dead(self) -> int: ...
    @property
    def late(self) -> Sequence[tuple[int, int]]: ...
