"""Dataflow: the description of its jobs, and its templates."""
