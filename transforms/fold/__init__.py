"""The fold of live: the stateful DoFn, and the states of its tiles."""
