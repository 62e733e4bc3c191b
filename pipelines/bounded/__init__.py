"""Parts of the bounded pipelines: their inputs, their graphs, their progress, and their ends.

`plan` computes a backfill's work (`Plan`, `plan`), `configs` and `flags` read its arguments, `building` builds it,
`publishing` serves it (`published`, `judge_bad`), `up_to_date` detects that there is no work. `rereading` and
`reconcile_report` are for reconcile, `replay_files` and `taken_in` for replays and rebuilds.
`tandem.pipelines.backfill`, `reconcile` and `rebuild` are made of them.
"""
