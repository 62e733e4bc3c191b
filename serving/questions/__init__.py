"""Questions over the views, and their answers as plain data.

Command line, HTTP, dashboard, SQL and Python client call the same functions: `selection` makes a question from a user's
input, `answers` reads its answer from a view store, `explanations` takes a number apart, `exports` writes all answers.
No Beam, no command line, no terminal. An invalid question raises a UserError of one line.
"""
