"""How requests read the view store: in bounded threads, again only where something has changed.

`reading` runs them (`Readers`), `catalogue` keeps compiled definitions, `store_changes` knows whether anything has
changed, `freshness` says how new an answer must be (`as_of_data`, `check_staleness`).
"""
