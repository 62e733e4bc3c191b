"""Moves the pointer to a publication: the checks before it, and pruning of rows that no publication needs."""
