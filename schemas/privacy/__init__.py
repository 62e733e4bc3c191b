"""Protection against leaks: passwords in texts, control characters on terminals, files that others can read."""
