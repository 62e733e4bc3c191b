"""Commands for queries: one answer or a series, every answer as a file or an Iceberg or BigQuery table, SQL.

They turn flags into a question of `tandem.serving.questions`, and its answer into a table or a file. They import no
Beam. Loaded by `tandem.command_list`.
"""
