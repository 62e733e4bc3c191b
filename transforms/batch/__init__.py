"""The bounded side: work of a backfill, tiles aggregated in one firing, and counts of a run."""
