"""Decodes JSON messages, lines and documents to columns, and encodes records as JSON."""
