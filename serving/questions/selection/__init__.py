"""Parses a user's input: definitions, keys, spans, sessions, measures, conditions.

`naming` finds definitions and keys (`compiled_named`, `key_named`, `load_named`), `spans` and `session_spans` parse
times (`span_of`, `session_span`), `selecting` parses measures and conditions (`asked_results`, `condition_of`,
`ranking_of`), `instants` parses one time (`parse_time`), `key_search` pages through keys (`find_keys`).
"""
