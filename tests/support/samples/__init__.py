"""What tests count: definitions, events, files of them, and plain answers."""
