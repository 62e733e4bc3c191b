"""Commands for dead letters: list, show, drop and replay messages and records that couldn't be decoded or computed.

`filters` has the options that choose letters, once for all of them. Loaded by `tandem.command_list`.
"""
