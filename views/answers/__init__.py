"""Answers: batch merged with live in one read transaction, with their certificates."""
