"""The journal: the immutable archive of raw messages that both speeds compute from.

Segments, lanes, runs, generations and seals as plain state machines over a blob store, a broker and clocks
that are handed in. No Beam here. docs/reference/journal.md holds the format and the protocol.
"""
