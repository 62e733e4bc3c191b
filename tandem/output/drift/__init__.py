"""Drift between live and batch, as tables and as a page that stands alone: `print_drift`, `drift_page`."""
