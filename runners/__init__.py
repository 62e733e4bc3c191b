"""On what machine a pipeline runs: local Prism, Flink, Dataflow."""
