"""Dataflow: the job as it would be sent there."""
