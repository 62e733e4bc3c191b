"""Decodes messages and files to Arrow batches, and encodes batches; unreadable records become dead letters.

No Beam, no journal, no state: bytes in, batches and dead letters out.
"""
