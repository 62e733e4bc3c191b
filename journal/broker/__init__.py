"""Message brokers that a journal pulls from: the interface, Pub/Sub, and one in memory."""
