"""Commands about answers over HTTP: the server, API keys, and what Prometheus and Grafana need to watch it.

What they start and write is in `tandem.serving`. Loaded by `tandem.command_list`.
"""
