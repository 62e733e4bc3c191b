"""One module for each peer: the job as the peer's own documentation teaches it, run in a process of its own."""
