"""From a question to its answer over a view store, and that answer as plain data and text.

`asking` reads it (`ask`, `question_of`); `answer_data`, `definition_data` and `json_values` make it what JSON can
say; `shown_times` says times as tables show them.
"""
