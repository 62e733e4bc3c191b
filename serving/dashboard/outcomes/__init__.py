"""Pages about alerts with their states and receipts, silences and results, and the overlays of a series."""
