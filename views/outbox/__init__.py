"""The outbox: records to be sent, written in the transaction of what they report, and handed to one deliverer.

Records are of streams: a definition's results are some, and other kinds may be. What makes them needs two things:

- `records.put_records(database, connection, name, records, now)`, in the transaction that holds what is told. A
  record's `stream` is a result's name, or `KIND NAME` of any other kind; its `output` a label, `KIND PLACE`, as
  `Output.label` has it. Those of one output leave in the order in which they were put, at least once, until the
  receiver has them or refuses them for good. The `id` is the idempotency key: one state of what is told has one.
- a source that the deliverer calls before it sends (`pipelines.delivery.sources`), if what is told isn't written by
  others: it puts what is due by then.

What sends to a kind of output is a writer (`pipelines.delivery.outputs`). `messages` is what deliverers take, forget,
and set aside; `leases` says who is the one.
"""
