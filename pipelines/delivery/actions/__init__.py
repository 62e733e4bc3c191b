"""Actions that alerts trigger over HTTP: `posting` connects to addresses that were checked, `webhooks` and
`prometheus_alerts` say what is sent.
"""
