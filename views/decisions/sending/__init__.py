"""What is sent of decisions, and whether.

`notices` says what and whether, `records` puts it into the outbox, `groups` lets alerts wait for others of their group.
"""
