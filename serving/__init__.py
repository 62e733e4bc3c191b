"""Queries over the views, in Python and over HTTP: the API, its authentication, SQL, and the dashboard."""
