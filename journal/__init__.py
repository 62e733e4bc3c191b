"""The journal: the immutable archive of raw messages, from which batch and live compute.

Segments, lanes, runs, generations and seals as plain state machines over a given blob store, broker and clock. No Beam
here. docs/reference/journal.md specifies the format and the protocol.
"""
