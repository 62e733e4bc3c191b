"""Where events come from: lanes of a journal, another run's journal, Beam's own Pub/Sub read; and decoding them."""
