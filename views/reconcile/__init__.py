"""Digests, audits and repairs: detects and corrects wrong numbers of the store."""
