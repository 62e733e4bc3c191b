"""Answers questions over a view store, as plain data and text.

`asking` reads the answer (`ask`, `question_of`); `answer_data`, `definition_data` and `json_values` make JSON data of
it; `shown_times` formats times for tables.
"""
