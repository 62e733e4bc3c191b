"""Measurement: processes, rounds, samples, engines, jobs, and the check of answers."""
