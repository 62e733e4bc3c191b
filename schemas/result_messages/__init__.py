"""What a message of a result is made of, for receivers: as Arrow columns, as an Avro schema, as a JSON Schema.

`columns` has the types, and makes typed values of a message's JSON; `avro` and `json_schema` say the same to those who
read Avro or JSON.
"""
