"""What answers read within one read transaction: what is served, and the rows of it.

`scope` says what is served (`Scope`, `read_scope`, `batch_alone`), `rows` gives its rows of a key, a span or all
(`TileRow`, `read_key`, `span_rows`, `all_rows`), `extents` where there are any (`tile_extent`, `tile_days`),
`whole_spans` proves that a span lacks none.
"""
