"""What is measured, and what is made of it: one table of metrics and alerts, Prometheus rules, a Grafana dashboard.

Plain values and texts; `serving.api.metrics` measures by the same table.
"""
