"""Actions that alerts trigger over HTTP.

`posting` connects to checked addresses only; `webhooks` and `prometheus_alerts` make the requests.
"""
