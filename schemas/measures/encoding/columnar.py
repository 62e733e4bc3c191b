"""The base class of Tandem's own measures, whose bytes follow from the Arrow type of their states."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import pyarrow as pa

from tandem.schemas.measures.base import Measure
from tandem.schemas.measures.encoding.ragged import flatten
from tandem.schemas.measures.encoding.states import decode_states, encode_states

__all__ = ["ColumnarMeasure"]


class ColumnarMeasure(Measure):
    """A measure whose states are canonical: equal values have equal columns, hence equal bytes."""

    version: ClassVar[int] = 1
    """First byte of each encoded state; incremented whenever the meaning of the bytes changes."""
    parallel: ClassVar[tuple[str, ...]] = ()
    """Fields of the state that are lists of equal length."""

    @property
    @abstractmethod
    def state_type(self) -> pa.DataType:
        """The Arrow type of a state; only fields that may be null are nullable."""

    def encode(self, states: pa.Array) -> pa.Array:
        """Versioned, deterministic bytes of each state; layout in `tandem.schemas.measures.encoding.states`."""
        return encode_states(states, self.version)

    def decode(self, data: pa.Array) -> pa.Array:
        """The states from these bytes. Raises ValueError for another version or an invalid layout."""
        states = decode_states(data, self.state_type, self.version)
        lengths = [flatten(states.field(name))[0] for name in self.parallel]
        for name, length in zip(self.parallel, lengths, strict=True):
            if not np.array_equal(length, lengths[0]):
                raise ValueError(f"lists {self.parallel[0]} and {name} of a state differ in length")
        return states
