"""Writes a part of a batch run: its file first, then the database's record of it, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from tandem.schemas.columns import GENERATION
from tandem.schemas.errors import StoreError
from tandem.schemas.failpoints import reached
from tandem.schemas.states import merge_blocks
from tandem.storage.objects import ObjectExistsError, ObjectMissingError
from tandem.storage.places import open_place
from tandem.views.batch import writing as batch
from tandem.views.batch.chains import Chains
from tandem.views.layers.below import Replaced, ancestors_rows, merged_with
from tandem.views.layers.catalog import layer_files, packed_contents, resolved, stored_place
from tandem.views.layers.cutting import Part
from tandem.views.layers.tables import batch_files, file_contents, removed_files
from tandem.views.layers.writing import LayerData, in_file_order, layer_data
from tandem.views.reconcile.digest_rows import RowSum
from tandem.views.reconcile.tables import batch_state_digests
from tandem.views.reconcile.tile_sums import sums_by_tile
from tandem.views.rows import Compiled
from tandem.views.storage.database import Database
from tandem.views.storage.tables import store_version

__all__ = ["check_files", "write_part"]


def write_part(
    database: Database,
    chains: Chains,
    compiled: Compiled,
    batch_run: str,
    place: str,
    part: Part,
    block: pa.RecordBatch,
) -> None:
    """Write the states of a part, merged with the ancestors', as a file, and register it in the database.

    `block`: all states of the part, with the tile as generation; rows of one tile and key are merged. May be repeated:
    the same states give the same file. Raises StoreError for a run that isn't being built.
    """
    with database.read() as connection:
        run = batch.building_run(connection, batch_run)
        below = _below(connection, chains, run, part, block)
        store = str(connection.execute(sa.select(store_version.c.id)).scalar_one())
    ordered, repeats = in_file_order(block)
    alone = merge_blocks(compiled.measures, [block]) if repeats else ordered
    merged, replaced = merged_with(compiled.measures, alone, *below, f"batch, part {part.name}")
    layer = layer_data(compiled, merged, in_order=merged is ordered)
    path = f"{store}/{batch_run}/{part.name}-{layer.digest}.arrow"
    with suppress(ObjectExistsError):  # same name, same digest: the file is there
        open_place(place).create(path, layer.data)
    reached("layer-written")
    with database.write() as connection:
        run = batch.lock_batch_run(connection, batch_run)
        _register(database, connection, run, (stored_place(database.url, place), path), part, layer, replaced)


def _below(
    connection: sa.Connection, chains: Chains, run: sa.Row[Any], part: Part, block: pa.RecordBatch
) -> tuple[Sequence[Any], Sequence[Any]]:
    """(rows, files) of the ancestors in the part's days and buckets."""
    if run.parent is None:
        return (), ()
    chain = chains.of(connection, run.parent)
    tiles = block.column(GENERATION).to_numpy(zero_copy_only=False)
    span = int(tiles.min()), int(tiles.max()) + 1
    files = [
        file
        for file in layer_files(connection, run.definition, chain, span)
        if file.first_bucket <= part.last_bucket and file.last_bucket >= part.first_bucket
    ]
    return ancestors_rows(connection, run.definition, chain, block), files


def _register(
    database: Database,
    connection: sa.Connection,
    run: sa.Row[Any],
    where: tuple[str, str],
    part: Part,
    layer: LayerData,
    replaced: Replaced | None,
) -> None:
    f, key = batch_files.c, (run.definition, run.ordinal, part.name)
    known = connection.execute(
        sa.select(f.place, f.path).where(f.definition == key[0], f.batch_run == key[1], f.part == key[2])
    ).first()
    if known is not None and tuple(known) != where:  # of an attempt that merged other states
        database.write_rows(connection, database.insert_new(removed_files), [(*known, run.created_at)])
    first, last = layer.sums[0][0], layer.sums[-1][0]
    row = (*key, *where, len(layer.data), layer.rows, first, last, part.first_bucket, part.last_bucket)
    database.write_rows(connection, database.replace(batch_files), [row])
    database.write_rows(connection, database.replace(file_contents), [(*key, packed_contents(layer))])
    less = dict(sums_by_tile(replaced.tiles, replaced.events, replaced.words)) if replaced is not None else {}
    digests = [
        (run.definition, tile, part.first_bucket, run.ordinal, *total.less(less.get(tile, RowSum())).columns)
        for tile, total in layer.sums
    ]
    database.write_rows(connection, database.replace(batch_state_digests), digests)


def check_files(connection: sa.Connection, run: sa.Row[Any]) -> None:
    """Raise StoreError unless every file of a run is there, as long as it was written."""
    f = batch_files.c
    query = sa.select(f.place, f.path, f.size).where(f.definition == run.definition, f.batch_run == run.ordinal)
    for place, path, size in connection.execute(query):
        where = resolved(connection, place)
        try:
            found = open_place(where).size(path)
        except ObjectMissingError:
            raise StoreError(f"batch run {run.id!r} can't be finished: its file {where}/{path} is missing") from None
        if found != size:
            raise StoreError(
                f"batch run {run.id!r} can't be finished: its file {where}/{path} has {found} bytes instead of {size}"
            )
