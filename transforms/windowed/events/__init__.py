"""Events of the windowed transforms: read as columns, filtered, with their keys and windows, deduplicated.

`columns` reads them (`prepare_batch`, `prepare_rows`), `placing` places them (`PlaceEvents`), `deduplicating` keeps the
first of copies (`KeepFirst`); `elements` are passed between steps. `BadEvent` is public.
"""
