"""Avro container files and messages as columns: file structure, schemas, schema resolution, and decoding."""
