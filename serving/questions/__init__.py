"""The questions that anybody may ask of the views, and their answers as plain data.

Command line, HTTP, dashboard, SQL and Python client call the same functions: `selection` makes a question of what a
user writes, `answers` reads its answer from a view store, `explanations` takes a number apart, `exports` writes every
answer there is. No Beam, no command line, no terminal. What can't be asked raises a UserError of one line.
"""
