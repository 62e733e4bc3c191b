"""Monitoring: one table of metrics and alerts, and its Prometheus rules and Grafana dashboard.

Plain values and texts; `serving.api.metrics` measures by the same table.
"""
