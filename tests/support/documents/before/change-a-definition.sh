mkdir history
events 0 5 2025-12-01 > history/1.jsonl
broker
cp examples/clicks/* .
tandem backfill --definition clicks.yaml --files 'history/*.jsonl' --home data
send 10 5 2026-01-05
clicks=clicks.yaml
stays
sed -i 's/^  least: .*/  lowest: {min: amount}/' examples/clicks/clicks.yaml
names+=("roll-back clicks 7=>roll-back clicks 2")
