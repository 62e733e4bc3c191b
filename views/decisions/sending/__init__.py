"""What is sent of decisions: `notices` says what and whether, `records` puts it into the outbox, and by `groups` alerts
wait for others of their group.
"""
