"""Tandem measured: against its peers, against growing work, live, and part by part. `make bench` runs it."""
