"""Authentication and authorization over HTTP: API keys, tokens, roles, rows of keys, and the audit log.

Plain values and functions, without the framework.
"""
