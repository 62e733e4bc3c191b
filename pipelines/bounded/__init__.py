"""Parts of the bounded pipelines: what they read, what they build, what they show, and how they end.

`plan` says what a backfill adds (`Plan`, `plan`), `configs` and `flags` read its arguments, `building` builds it,
`publishing` serves it (`published`, `judge_bad`), `up_to_date` knows when there is nothing to do. `rereading` and
`reconcile_report` are for reconcile, `replay_files` and `taken_in` for replays and rebuilds.
`tandem.pipelines.backfill`, `reconcile` and `rebuild` are made of them.
"""
