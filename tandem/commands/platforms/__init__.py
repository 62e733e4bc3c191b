"""Commands on what Tandem runs on: Flink on this machine, Dataflow's templates, topics and subscriptions of Pub/Sub.

`pubsub` gives `once_there` and `pubsub_errors`, which registering schemas needs too. Loaded by `tandem.command_list`.
"""
