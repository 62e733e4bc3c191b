"""Decisions: verdicts on due windows, the episodes of each rule and key, their receipts, and the messages about them.

`judging` computes verdicts from answers and baselines; `parts` stores them; `passes` makes episodes of them, has batch
settle these, and remembers both; `draining` writes all in one transaction with the outbox; `sending` makes the
messages; `listing` answers queries.
"""
