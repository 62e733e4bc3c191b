"""The view store: batch states, live states, what was published, and the answers merged from them."""
