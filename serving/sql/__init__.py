"""SQL over an installation: DuckDB asks, and tables are read from views and journal while it does.

A statement is parsed by DuckDB's own parser, checked and rewritten (`statements`), runs in a database without files,
extensions and settings (`sandbox`), and reads its tables at one instant of the store (`asking`). What it says of keys
and times is pushed down (`bounds`) into what reads them (`answer_table`, `event_table`, `fixed_tables`).
"""
