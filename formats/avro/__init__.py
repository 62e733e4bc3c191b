"""Avro container files and messages into columns: structure, schemas, resolution, and decoding."""
