"""Requests' access to the view store: in bounded threads, with a cache that the store's changes invalidate.

`reading` runs them (`Readers`), `catalogue` caches compiled definitions, `store_changes` detects changes, which
`shared_marks` asks for all waiting requests at once (`SharedMarks`); `freshness` checks how fresh an answer is
(`as_of_data`, `check_staleness`).
"""
