"""The pipelines: live, backfill, publish and more. Batch and streaming differ only here, in sources and sinks."""
