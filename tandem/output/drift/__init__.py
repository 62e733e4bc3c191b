"""Drift between live and batch, as tables and as a standalone page: `print_drift`, `drift_page`."""
