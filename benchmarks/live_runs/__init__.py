"""Parts of live measurements: traffic, a peer, and what is watched."""
