"""Parquet files into columns: footers by Tandem's own reader, pages by a guarded process."""
