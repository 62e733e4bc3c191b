"""Once the first file of states is written no event waits on disk any more."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from samples import sales

from tandem.schemas.columns import KEY
from tandem.transforms.batch import layers
from tandem.transforms.batch.layers import _Write
from tandem.transforms.batch.spilling import spill


@pytest.mark.parametrize("freed", [pytest.param(True, id="on this machine"), pytest.param(False, id="elsewhere")])
def test_events_are_forgotten_before_the_first_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, freed: bool
) -> None:
    events, states, sizes = tmp_path / "events", tmp_path / "states", list[int]()
    for folder in (events, states):
        folder.mkdir()
    batch = pa.record_batch({KEY: pa.array(["a", "b"])})
    spill([((0, 0), batch)], str(events))
    ((_, ref),) = spill([((0, 0), batch)], str(states))
    (waiting,) = events.iterdir()
    whole = waiting.stat().st_size

    def written(*arguments: object) -> None:
        sizes.append(waiting.stat().st_size)
        assert [part.to_pydict() for part in arguments[-1]] == [batch.to_pydict()]  # type: ignore[attr-defined]

    monkeypatch.setattr(layers, "write_states", written)
    write = _Write(sales.compiled().definition, "", "b-1", "", str(events) if freed else None)
    for _ in range(2):
        write.start_bundle()
        assert list(write.process(((0, 0, 0, 255), [ref]))) == []
        write.finish_bundle()
    assert sizes == [0 if freed else whole] * 2
