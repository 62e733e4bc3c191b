"""Moving the pointer to what is served: the checks before it, and removing what nothing needs any more."""
