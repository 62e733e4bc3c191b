"""The database under the view store: connections, tables, addresses, checksums of rows, and marks of commits."""
