"""Delivers beside a pipeline: once at a backfill's end, and for as long as a live run lasts.

`rounds` are a deliverer's attempts, with their errors; `once` is what a backfill calls; `process` starts, watches and
ends a deliverer's process for a live run, and `main` is what runs in it.
"""
