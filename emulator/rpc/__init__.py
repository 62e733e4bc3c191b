"""The gRPC side of the embedded Pub/Sub: serialized requests in, serialized responses out."""
