"""Event time: instants, durations, time zones and calendars, windows, and sessions.

Instants are microseconds since 1970-01-01 UTC as int; durations are microseconds."""
