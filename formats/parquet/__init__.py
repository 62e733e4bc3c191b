"""Decodes Parquet files to columns: footers by Tandem's own reader, pages by a guarded process."""
