"""Where a number comes from: its batch runs and generations, what changed it, the messages behind it.

`explanation` takes an answer apart (`explanation_data`) and `explaining` says it in words (`explain`), `changes`
compares two publications (`changes_data`), `messages` decodes the journal again (`messages_of`, `fate_of`).
"""
