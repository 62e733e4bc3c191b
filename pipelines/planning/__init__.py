"""What a command line would launch: its graph without starting anything, and findings about it."""
