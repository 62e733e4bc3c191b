"""Outcomes of answers as plain data: alerts with their states, silences, results, backtests.

Used by the command line, the API, the pages, SQL and the clients.
"""
