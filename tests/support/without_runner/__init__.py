"""Worlds of sales without a runner, and what happens in them."""
