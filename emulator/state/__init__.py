"""The state machine of the embedded Pub/Sub: topics, subscriptions, queues and leases, independent of gRPC."""
