"""Paths about what came of answers: alerts and their events, silences, results, backtests."""
