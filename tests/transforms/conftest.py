"""Events of the sales definition as routing gives them, and a tile that takes them in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa
import pytest
from samples import sales
from samples.sales import Sale

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.transforms.elements import SourceBatch
from tandem.transforms.routing.tiles import route
from tandem.transforms.sources.decoding import observe, source_readings

Routed = Callable[..., pa.RecordBatch]


def batch_of(
    compiled: CompiledDefinition, payloads: Sequence[bytes], generation: int = 1, watermark: int | None = None
) -> SourceBatch:
    """Payloads as one segment, decoded."""
    (reading,) = source_readings([compiled.definition])
    messages = sales.messages(payloads)
    decoded, _ = observe([reading], messages)
    version = reading.source.version
    return SourceBatch("run/0000", 7, generation, version, watermark, decoded[version], messages=messages)


@pytest.fixture(scope="session")
def source_batch() -> Callable[..., SourceBatch]:
    """`batch_of`."""
    return batch_of


@pytest.fixture(scope="session")
def routed() -> Routed:
    """Sales of one tile and generation as a part of that tile; `late`: all of them too late for live."""

    def make(
        compiled: CompiledDefinition, items: Sequence[Sale], generation: int = 1, *, late: bool = False
    ) -> pa.RecordBatch:
        watermark = 2**62 if late else None
        batch = batch_of(compiled, [sale.payload() for sale in items], generation, watermark)
        ((_, events),) = route(compiled, 1, batch).parts
        return events

    return make
