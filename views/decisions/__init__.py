"""Decisions: verdicts on what is due, the episodes of each rule and key, their receipts, and what is sent of them.

`judging` reads answers and what is usual, and gives verdicts; `verdicts` keeps them; `draining` makes episodes of them,
lets batch settle these, and writes all in one transaction with the outbox; `notices` says what is sent; `listing` is
what people ask.
"""
