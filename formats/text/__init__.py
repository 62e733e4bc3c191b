"""Files of text: unpacked, decoded, split into lines, and held as one buffer of many texts."""
