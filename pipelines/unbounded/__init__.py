"""Parts of the live pipelines: their configuration, following another run, and their screen."""
