"""Command-line flags, parsed once into frozen values; what is left goes to Beam."""
