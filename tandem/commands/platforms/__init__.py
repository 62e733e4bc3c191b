"""Commands for platforms: Flink on this machine, Dataflow's templates, topics and subscriptions of Pub/Sub.

`pubsub` has `once_there` and `pubsub_errors`, which registering schemas uses too. Loaded by `tandem.command_list`.
"""
