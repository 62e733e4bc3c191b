"""Paths about outcomes of answers: alerts and their events, silences, results, backtests."""
