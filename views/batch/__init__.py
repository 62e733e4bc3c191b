"""Batch runs: writing their states over a parent's, their ancestry, and undoing them."""
