(events 0 5 2026-01-05; echo "no event") > bad.jsonl
tandem backfill --definition "$clicks" --files bad.jsonl --max-bad 1 --home data
