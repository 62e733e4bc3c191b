"""Decodes CSV files to columns, in the dialect that the source declares."""
