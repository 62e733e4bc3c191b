"""Digests, audits and repairs: what the store knows of whether its own numbers are right."""
