"""HTTP API and dashboard over the view store."""
