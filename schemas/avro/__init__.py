"""Avro schemas of sources: their Arrow types, their compatibility by schema resolution, and their files."""
