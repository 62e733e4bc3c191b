"""Sources of events: lanes of a journal, another run's journal, Beam's own Pub/Sub read; and decoding."""
