"""Reads of one transaction: the scope that is served, and its rows.

`scope` reads the served publication (`Scope`, `read_scope`, `batch_alone`), which `kept_scopes` keeps for processes
that answer many questions (`KeptScopes`, `state_mark`); `rows` reads its rows of a key, a span or all (`TileRow`,
`read_key`, `span_rows`, `all_rows`), `extents` the tiles and days that have rows (`tile_extent`,
`tile_days`); `whole_spans` proves that no row of a span is missing.
"""
