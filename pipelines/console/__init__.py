"""Console output and exit codes: texts escaped, tables that cut no value, errors of one line."""
