"""Parts of live measurements: traffic, a peer, and observers."""
