"""SQL over an installation: DuckDB runs a statement, and reads its tables from views and journal on demand.

A statement is parsed by DuckDB's own parser, checked and rewritten (`statements`), runs in a database without files,
extensions and settings (`sandbox`), and reads its tables at one instant of the store (`asking`). Its conditions on keys
and times are pushed down (`bounds`) into the readers of tables (`answer_table`, `event_table`, `fixed_tables`).
"""
