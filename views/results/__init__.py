"""Results that are sent: what is due, the revisions of each window and key, and the outbox.

`marking` notes in each transaction that changes an answer which tiles are due; `draining` turns them into revisions of
windows, merged from tiles, compared with the last one, and puts what is new into the outbox; `outbox` and `leases`
hand it to one deliverer. Runners may hasten it, and decide nothing.
"""
