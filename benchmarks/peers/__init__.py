"""One module for each peer: the job as in the peer's own documentation, run in a separate process."""
