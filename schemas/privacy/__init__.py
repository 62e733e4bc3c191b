"""What must not leak: passwords in texts, control characters on a terminal, and files that others could read."""
