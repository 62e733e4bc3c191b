"""From what a user writes to what is asked for: definitions, keys, spans, sessions, measures, conditions.

`naming` finds definitions and keys (`compiled_named`, `key_named`, `load_named`), `spans` and `session_spans` read
times (`span_of`, `session_span`), `selecting` reads measures and conditions (`asked_results`, `condition_of`,
`ranking_of`), `instants` reads one time (`parse_time`), `key_search` pages through keys (`find_keys`).
"""
