"""Data files: which ones patterns name, the pieces that they are split into, and reading a piece."""
