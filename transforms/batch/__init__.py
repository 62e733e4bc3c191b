"""The bounded side: items of work of a backfill, tiles aggregated in one firing, and counts of a run."""
