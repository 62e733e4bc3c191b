"""Servers that products talk to, and a client of ours."""
