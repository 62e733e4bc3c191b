"""Exports of all answers, of one instant: as rows, in files of four formats, as an Iceberg table.

`rows` reads them (`export_of`, `exported`), `forms` writes them (`write_rows`, `FORMS`), `iceberg_tables` commits them
(`write_table`).
"""
