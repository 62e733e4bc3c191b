"""Recomputes chosen tiles, and compares batch and live with the result."""
