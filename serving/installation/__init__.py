"""The state of an installation as plain data: what is served, runs, journal, dead letters, drift, and its health.

What is asked of the numbers themselves is in `serving.questions`.
"""
