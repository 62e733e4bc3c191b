"""Live runs: states, tallies, late events, and tiles that the fold has evicted from its memory."""
