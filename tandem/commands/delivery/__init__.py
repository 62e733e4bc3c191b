"""Commands for results and alerts: lists, schemas, and the deliverer that sends them.

Due and sent messages are in `tandem.views.results` and `tandem.views.decisions`. Loaded by `tandem.command_list`.
"""
