"""Parts of the bounded pipelines: what they read, what they show, and how they end."""
