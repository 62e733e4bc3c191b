"""Verifies that batch, live and every mix of them give one answer, on the product itself, run without a runner."""
