"""The state of an installation as plain data: publications, runs, journal, dead letters, drift, and its health.

Queries about answers are in `serving.questions`.
"""
