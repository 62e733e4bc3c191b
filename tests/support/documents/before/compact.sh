unset PUBSUB_EMULATOR_HOST  # an installation of files alone
for day in 2 3 4; do
  events "$day" 3 "2026-01-0$day" > "day$day.jsonl"
  tandem backfill --definition "$clicks" --files 'day*.jsonl' --home data --layer-threshold 0
done
after() { tandem query clicks --key home --from 2026-01-02 --to 2026-01-05 --home data; }
