"""The schema of a result's messages, for receivers: as Arrow columns, as an Avro schema, as a JSON Schema.

`columns` has the types, and converts a message's JSON to typed values; `avro` and `json_schema` describe the same for
readers of Avro and JSON; `bigquery` has the columns of a table.
"""
