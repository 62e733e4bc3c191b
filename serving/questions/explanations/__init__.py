"""Explains a number: its batch runs and generations, its changes, the messages behind it.

`explanation` takes an answer apart (`explanation_data`) and `explaining` puts it into words (`explain`), `changes`
compares two publications (`changes_data`), `messages` decodes the journal again (`messages_of`, `fate_of`).
"""
