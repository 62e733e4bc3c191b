"""Pipelines as templates launch them: nobody waits for the job, which does itself what a launcher does at its end."""
