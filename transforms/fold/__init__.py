"""The fold of live: the stateful DoFn, and the states of tiles that it keeps."""
