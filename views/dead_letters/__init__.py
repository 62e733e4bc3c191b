"""Dead letters in the store: findings of runs, acts of users, and the letters that are open."""
