"""The state machine: model, world, rules, laws, and how it is run."""
