"""Messages about decisions, and whether they are sent.

`notices` makes a message and checks silences, `records` puts it into the outbox, `groups` holds alerts back for others
of their group.
"""
