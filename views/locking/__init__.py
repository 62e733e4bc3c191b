"""Waiting for others: who holds a lock, and whose turn it is."""
