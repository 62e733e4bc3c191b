"""Object stores: places by URL (`gs://`, `s3://`), objects behind a few operations, and as Arrow's files.

Folders don't use this package. Above it the journal stores blobs, and `formats` reads data files.
"""
