"""Commands on what is sent: results and alerts, their schemas, and the deliverer that sends them.

What is due and what was sent is in `tandem.views.results` and `tandem.views.decisions`. Loaded by
`tandem.command_list`.
"""
