"""Batch runs: writes their states over a parent's, reads their ancestry, and undoes them."""
