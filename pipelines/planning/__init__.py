"""What a command line would launch: its graph without starting anything, and what is to be said about it."""
