"""What lies below deploy/, judged by its own tools."""
