"""Flink: its cluster on this machine, its REST interface, its jobs, workers, checkpoints and savepoints."""
