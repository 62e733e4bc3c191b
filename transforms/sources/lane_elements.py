"""Sources as elements of the pipeline that reads them: one a lane, with constant bytes, spread over workers.

Flink keeps a reader's residual work at the end of a bundle in state, keyed by the bytes of its element. So an element
must have the same encoding each time: a pickle that was read and written again has other bytes, and Flink ends the job
with 'Key group is not in KeyGroupRange'. And lanes that share an element share its key: one worker reads them all.
"""

import pickle
from collections.abc import Sequence
from typing import Any, Final

import apache_beam as beam
from apache_beam import coders
from apache_beam.io.unbounded_source import ReadFromUnboundedSource, UnboundedSource, _ReadFromUnboundedSourceDoFn

from tandem.transforms.elements import DecodedSegment
from tandem.transforms.sources.bundle_clock import bundle_time

__all__ = ["KEY_GROUPS", "ElementCoder", "ElementSource", "ReadSources", "elements"]

KEY_GROUPS: Final = 128
"""The key groups of a Flink job, by default and for parallelism up to 85."""
_SALT: Final = 4
"""Bytes before the pickle, chosen for the element's key group."""
_MASK: Final = 0xFFFFFFFF


class ElementSource(UnboundedSource):  # type: ignore[misc]
    """A source that keeps the bytes of its element. Subclasses are registered with `ElementCoder`."""

    element: bytes | None = None

    def __getstate__(self) -> dict[str, Any]:
        """The attributes without the bytes: restrictions hold the source, too."""
        return {name: value for name, value in self.__dict__.items() if name != "element"}

    def __reduce__(self) -> Any:
        """Raise: `tandem.transforms.savepoints` pickles sources, and has to be imported for it."""
        raise pickle.PicklingError(f"{type(self).__qualname__} is pickled by tandem.transforms.savepoints alone")


class ElementCoder(coders.Coder):  # type: ignore[misc]
    """A coder to the bytes that the source keeps."""

    def encode(self, value: ElementSource) -> bytes:
        """See Coder."""
        return value.element if value.element is not None else _encoded(value, 0, 1)

    def decode(self, encoded: bytes) -> ElementSource:
        """See Coder."""
        return _remembering(pickle.loads(encoded[_SALT:]), encoded)

    def is_deterministic(self) -> bool:
        """An element has the same bytes wherever it goes."""
        return True


class ReadSources(ReadFromUnboundedSource):  # type: ignore[misc]
    """Beam's ReadFromUnboundedSource for several sources of one kind that aren't split further."""

    def __init__(self, sources: Sequence[ElementSource], **limits: Any) -> None:
        super().__init__(sources[0], **limits)
        self._sources = tuple(sources)

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[DecodedSegment]:
        # Reshuffled the graph would depend on the number of lanes; what reads them is keyed by the element anyway.
        created = begin | "Create" >> beam.Create(elements(self._sources), reshuffle=False)
        read = _ReadFromUnboundedSourceDoFn(
            self._poll_interval, self._max_records_per_bundle, self._max_read_time_seconds, bundle_time
        )
        return created | "ReadUnbounded" >> beam.ParDo(read).with_output_types(DecodedSegment)


def elements(sources: Sequence[ElementSource]) -> list[ElementSource]:
    """The sources, with bytes whose key groups are spread evenly, so that any number of workers share them."""
    return [_remembering(source, _encoded(source, at, len(sources))) for at, source in enumerate(sources)]


def _remembering(source: ElementSource, encoded: bytes) -> ElementSource:
    # dataclasses that are frozen, too
    object.__setattr__(source, "element", encoded)
    return source


def _encoded(source: ElementSource, at: int, number: int) -> bytes:
    pickled = pickle.dumps(source, protocol=4)
    wanted = (2 * at + 1) * KEY_GROUPS // (2 * number)
    hashed = _hash(pickled)
    for salt in range(1 << 16):
        front = salt.to_bytes(_SALT, "big")
        if _group(_hash(_length(_SALT + len(pickled)) + front, hashed)) == wanted:
            return front + pickled
    raise AssertionError(f"no salt gives key group {wanted}")


def _length(number: int) -> bytes:
    """A variable-length integer in Beam's encoding."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])


def _hash(data: bytes, behind: int = 1) -> int:
    """java.nio.ByteBuffer.hashCode, 32 bits; `behind`: the hash of the bytes behind the data."""
    for byte in reversed(data):
        behind = (31 * behind + (byte if byte < 128 else byte - 256)) & _MASK
    return behind


def _group(code: int) -> int:
    """KeyGroupRangeAssignment.computeKeyGroupForKeyHash: the last steps of MurmurHash3, 32 bits."""
    code = code * 0xCC9E2D51 & _MASK
    code = (code << 15 | code >> 17) & _MASK
    code = code * 0x1B873593 & _MASK
    code = (code << 13 | code >> 19) & _MASK
    code = (code * 5 + 0xE6546B64) & _MASK
    code ^= 4
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        code = (code ^ code >> shift) * factor & _MASK
    return (code if code < 1 << 31 else (1 << 32) - code) % KEY_GROUPS
