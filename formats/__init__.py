"""From messages and files to Arrow batches, and back; what can't be read becomes a dead letter.

No Beam, no journal, no state: bytes in, batches and dead letters out.
"""
