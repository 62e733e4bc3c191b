"""Text files: decompressed, decoded, split into lines, and held as one buffer of many texts."""
