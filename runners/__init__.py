"""Runners: local Prism, Flink, Dataflow; planning, submitting and watching jobs."""
