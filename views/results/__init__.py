"""Results that are sent: what is due, the revisions of each window and key, and the outbox.

`due` notes in each transaction that changes an answer which tiles are due, and makes them windows; `revisions` reads
these windows' answers, compares them with the last revisions, and puts what is new into the outbox, which
`tandem.views.outbox` hands to one deliverer. `tables` are theirs, `clocks` and `watermarks` decide a revision's
timing, `listing` says what is known. Runners may hasten it, and decide nothing.
"""
