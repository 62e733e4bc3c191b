"""What runs pipelines: engines by name, their stories, graphs and kept state."""
