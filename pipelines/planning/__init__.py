"""Plans a launch: its graph, built without starting anything, and findings about it."""
