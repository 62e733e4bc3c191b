"""Commands for answers over HTTP: the server, API keys, and files for Prometheus and Grafana.

What they start and write is in `tandem.serving`. Loaded by `tandem.command_list`.
"""
