"""What comes out: typed rows of results, and JSON of them in files or on a topic.

`result_rows` makes rows (`ResultRows`), `field_types` says their types in three systems, `json_results` writes them
(`WriteLines`, `PublishLines`, `WriteBadEvents`).
"""
