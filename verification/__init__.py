"""Proving that batch, live and every mix of them give one answer: the product itself, run without a runner."""
