"""The tables of the outbox: waiting records, the health of each output, and the deliverer."""

from __future__ import annotations

import sqlalchemy as sa

from tandem.views.storage.columns import METADATA, count, crc, number, part, text

__all__ = ["result_leases", "result_outbox", "result_outputs"]

result_outbox = sa.Table(
    "result_outbox",
    METADATA,
    sa.Column("ordinal", number(), primary_key=True),
    text("name"),
    text("output"),
    text("result"),
    count("start"),
    count("end"),
    text("key"),
    count("revision"),
    count("pass_number"),
    text("state"),
    count("fence"),
    text("id"),
    text("payload"),
    sa.Column("base", sa.Text()),
    text("error"),
    count("created_at"),
    crc(),
    sa.Index("result_outbox_by_output", "name", "output", "state", "ordinal"),
    sa.Index("result_outbox_by_window", "name", "result", "start", "key"),
    sqlite_autoincrement=True,
)
"""Records to be sent, one row for each output. `result`: the stream, see `records`. `state`: waiting; taken by the
deliverer of a `fence`, so that receivers may have seen it; dead, since it was refused for good. `base`: the answer of
the result's revision before."""

result_outputs = sa.Table(
    "result_outputs",
    METADATA,
    part("name", sa.Text()),
    part("output", sa.Text()),
    count("sent"),
    count("failures"),
    count("next_at"),
    text("error"),
    count("changed_at"),
    crc(),
)
"""The health of an output: after `failures` in a row it is retried at `next_at` (wall clock)."""

result_leases = sa.Table(
    "result_leases",
    METADATA,
    part("name", sa.Text()),
    text("holder"),
    count("fence"),
    count("until"),
    crc(),
)
"""The deliverer of a name, and the end of its lease (wall clock). Each new holder has a higher `fence`."""
