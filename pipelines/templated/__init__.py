"""Pipelines as templates launch them: the job itself does a launcher's last steps, as no launcher waits for it."""
