"""Data files: the files that patterns name, the pieces that they are split into, and the reading of a piece."""
