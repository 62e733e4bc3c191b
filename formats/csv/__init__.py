"""CSV files into columns, in the dialect that the source declares."""
