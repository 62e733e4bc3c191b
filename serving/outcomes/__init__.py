"""What came of answers, as programs and people see it: alerts with their life, silences, results, backtests.

Read by the command line, the API, the pages, SQL and the clients.
"""
