"""What a process says of what it does, beside its answers.

`logs` are lines for people, or for programs (`log_as`, `logged`); `context` is what all lines are about (`keep`,
`within`).
"""
