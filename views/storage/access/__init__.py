"""Access to a store: passwords, and the rights of its users."""
