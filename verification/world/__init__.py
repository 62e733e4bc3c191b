"""A journal, live runs and batch runs in one process, without a runner."""
