"""Handing a pipeline to its runner: flags that are added, watching the job, ending it, and earlier jobs."""
