"""How anything is printed, and how a process ends: texts escaped, tables that cut nothing, errors of one line."""
