"""Who may open a store, and what each of its users may do there."""
