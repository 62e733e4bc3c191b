mkdir history
events 0 5 2025-12-01 > history/1.jsonl
tandem backfill --definition "$clicks" --files 'history/*.jsonl' --home data
broker
send 10 5 2026-01-05
stays
