"""Outputs: typed rows of results, and their JSON in files or on a topic.

`result_rows` builds rows (`ResultRows`), `field_types` maps their types between three systems, `json_results` writes
them (`WriteLines`, `PublishLines`, `WriteBadEvents`).
"""
