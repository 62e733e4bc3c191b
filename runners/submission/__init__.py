"""Submits a pipeline to its runner: adds flags, watches the job, ends it, and ends earlier jobs."""
