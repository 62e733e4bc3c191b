"""Options of a definition's source: paths of fields, spellings of values and times, and text files."""
