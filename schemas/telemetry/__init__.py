"""Telemetry of a process: logs and traces.

`logs` are lines for people, or for programs (`log_as`, `logged`); `context` has the fields that all lines share
(`keep`, `within`); `traces` are OpenTelemetry's spans of segments.
"""
