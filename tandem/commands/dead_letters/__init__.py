"""Commands on dead letters: list, show, drop and replay what could not be decoded or computed.

`filters` has the options that choose letters, once for all of them. Loaded by `tandem.command_list`.
"""
