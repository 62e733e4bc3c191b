"""The outbox: records to be sent, written in the transaction of their change, and taken by one deliverer.

Records belong to streams: a definition's results are streams, and other kinds may be. A producer of records needs two
things:

- `records.put_records(database, connection, name, records, now)`, in the transaction of the change. A record's `stream`
  is a result's name, or `KIND NAME` for any other kind; its `output` a label, `KIND PLACE`, as `Output.label` has it.
  Records of one output are sent in the order in which they were put, at least once, until the receiver has them or
  refuses them for good. The `id` is the idempotency key, one for each state.
- a source that the deliverer calls before it sends (`pipelines.delivery.sources`), unless other processes write the
  records: it puts the records that are due.

A writer (`pipelines.delivery.outputs`) sends to one kind of output. `messages` has the deliverer's operations: take,
forget, and set aside; `leases` decides which process delivers.
"""
