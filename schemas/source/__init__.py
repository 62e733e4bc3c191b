"""What a definition says of its source: where fields lie, how values and times are spelt, and options of text files."""
