"""The commands of the command line: name, module, help line and example of each, none of which is imported."""
