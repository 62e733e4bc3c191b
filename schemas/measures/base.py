"""The interface of measures: a commutative monoid over columns of states."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["Groups", "Measure"]

Groups = npt.NDArray[np.int64]
"""For each row the index of its group, 0 <= index < size."""


class Measure(ABC):
    """A mergeable aggregate over a group of events; a pure, immutable, picklable value.

    The states of many groups travel as one Arrow array of `state_type`, one row a group. For any split of events
    into parts and any order of merging, `merge` of the parts' `update` equals `update` of all: bit for bit for exact
    measures, within the stated error for sketches. Nulls of the input are ignored, as SQL does.

    >>> from tandem.schemas.measures.registry import build
    >>> clicks = build("clicks", "count", pa.schema([("page", pa.string())]))
    >>> events = pa.record_batch({"page": ["home", "home", "cart"]})
    >>> states = clicks.update(events, np.array([0, 0, 1]), 2)
    >>> clicks.result(clicks.merge(pa.concat_arrays([states, states]), np.array([0, 1, 0, 1]), 2))
    [4, 2]
    """

    kind: ClassVar[str]
    """The measure's name in a definition."""

    @property
    @abstractmethod
    def inputs(self) -> tuple[str, ...]:
        """The columns of a batch of events that `update` reads (may include columns.TIME and columns.ID)."""

    @property
    @abstractmethod
    def state_type(self) -> pa.DataType:
        """The Arrow type of a state in flight. No row is null: the identity is a value."""

    @property
    def update_like(self) -> Hashable:
        """A value that is equal for measures with equal states of equal events: these states are computed once."""
        return self

    @abstractmethod
    def update(self, events: pa.RecordBatch, groups: Groups, size: int) -> pa.Array:
        """The states of `size` groups of events; a group without events gets the identity."""

    @abstractmethod
    def merge(self, states: pa.Array, groups: Groups, size: int) -> pa.Array:
        """The states of `size` groups, each merged from the rows of `states` that `groups` assigns to it."""

    @abstractmethod
    def result(self, states: pa.Array) -> list[Any]:
        """The result of each state, as plain Python values; None where SQL gives NULL."""

    @abstractmethod
    def encode(self, states: pa.Array) -> pa.Array:
        """Versioned, deterministic bytes (pa.binary()) of each state: equal states have equal bytes."""

    @abstractmethod
    def decode(self, data: pa.Array) -> pa.Array:
        """The states from the bytes of `encode`. Raises ValueError for an unknown version or an invalid layout."""
