"""What a runner can't do with a pipeline, or does otherwise, found before anything is launched."""
