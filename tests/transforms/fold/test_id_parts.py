"""Parts of ids: what is put into them comes out again, in any order of them; a damaged one is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from tandem.transforms.fold.id_parts import parts_of, read_parts
from tandem.transforms.routing.seen_ids import ID_SCHEMA, Ids, ids_batch

LARGEST = 2**64 - 1


def ids_of(*generations: int) -> pa.RecordBatch:
    """An id for each of these generations."""
    hashes = np.arange(len(generations), dtype=np.uint64)
    return ids_batch(Ids(hashes, LARGEST - hashes, np.array(generations, np.int64)))


def rows(batch: pa.RecordBatch) -> list[dict[str, int]]:
    return sorted(batch.to_pylist(), key=lambda row: sorted(row.items()))


NONE = ids_of()


@pytest.mark.parametrize(
    ("counted", "late", "parts"),
    [
        pytest.param(NONE, [NONE], 0, id="none"),
        pytest.param(ids_of(7), [], 1, id="one"),
        pytest.param(ids_of(3, 3, 3), [NONE], 1, id="of one generation"),
        pytest.param(ids_of(3, 1, 3, 2**62), [], 3, id="of several"),
        pytest.param(NONE, [ids_of(1), ids_of(2, 2)], 2, id="late ones"),
        pytest.param(ids_of(5, 5), [ids_of(4)], 2, id="both"),
        pytest.param(ids_of(*[1] * 65_536), [], 1, id="a megabyte"),
        pytest.param(ids_of(*[1] * 65_537), [], 2, id="more than a part holds"),
    ],
)
def test_ids_come_out_as_they_went_in(counted: pa.RecordBatch, late: list[pa.RecordBatch], parts: int) -> None:
    made = parts_of(counted, late)
    assert len(made) == parts
    assert max(map(len, made), default=0) <= 24 + 16 * 65_536
    found = read_parts(reversed(made))
    assert [one.schema for one in found] == [ID_SCHEMA, ID_SCHEMA]
    assert rows(found[0]) == rows(counted)
    assert rows(found[1]) == rows(pa.concat_batches([NONE, *late]))


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda part: part[:10], id="its head is cut"),
        pytest.param(lambda part: part[:-16], id="an id is missing"),
        pytest.param(lambda part: part + bytes(16), id="an id too many"),
        pytest.param(lambda part: b"other" + part[5:], id="of another kind"),
        pytest.param(lambda part: part[:-1] + bytes([part[-1] ^ 1]), id="an id was changed"),
        pytest.param(lambda part: part[:8] + bytes([part[8] ^ 1]) + part[9:], id="its generation was changed"),
    ],
)
def test_a_damaged_part_is_refused(damage: Callable[[bytes], bytes]) -> None:
    (part,) = parts_of(ids_of(3, 3), [])
    with pytest.raises(ValueError, match="part of"):
        read_parts([damage(part)])
