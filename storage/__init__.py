"""Object stores: places by URL (`gs://`, `s3://`), their objects behind a few operations, and as files for Arrow.

Folders need nothing of this. Above it the journal keeps blobs, and `formats` reads data files.
"""
