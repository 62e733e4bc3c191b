"""The contents of a journal: its layout, blobs, segments and their records, and small documents."""
