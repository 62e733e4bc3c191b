broker
send 0 5 2026-01-05
