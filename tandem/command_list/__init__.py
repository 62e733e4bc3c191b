"""What the command line can do: name, module, line of help and example of each command, none of which is imported."""
