"""The questions that anybody may ask of the views, and their answers as plain data.

From what a user writes (names, keys, windows, zones, measures, conditions) to a question, and from a question to an
answer over a view store. No Beam, no command line, no terminal: the command line, and whatever serves answers later,
call the same functions. What can't be asked raises a UserError of one line.
"""
