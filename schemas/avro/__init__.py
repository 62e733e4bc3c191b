"""Avro schemas as sources declare them: their types in Arrow, which can be read with which, and where they lie."""
