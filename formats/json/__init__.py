"""JSON messages, lines and documents into columns, and records back into JSON."""
