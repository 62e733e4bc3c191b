"""Pages about alerts with their life and receipts, silences and results, and what a series draws of them."""
