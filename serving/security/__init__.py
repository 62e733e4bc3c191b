"""Who asks over HTTP, and what they may: API keys, tokens, roles, rows of keys, and the log of what operators did.

Plain values and functions, without the framework.
"""
