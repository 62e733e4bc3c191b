# What pages take for granted. A page's own commands are run as they stand, but for `live`, which ends once nothing comes
# any more, and `verify`, which looks less far.
shopt -s globstar nullglob
export PUBSUB_EMULATOR_HOST=127.0.0.1:$EMULATOR_PORT
clicks=examples/clicks/clicks.yaml
topic=projects/demo/topics/clicks
subscription=projects/demo/subscriptions/clicks
goes_on=  # whether `live` goes on, in a terminal of its own, until the page stops it
names=()  # OLD=>NEW: what a page calls OLD is NEW here

tandem() {
  case "$1" in
    live) shift; run_live "$@" ;;
    plan) command tandem "$@" || [ $? = 2 ] ;;  # findings, which the page speaks of
    verify) command tandem "$@" --examples 1 --time 1s --max-events 20 ;;
    *) command tandem "$@" ;;
  esac
}

run_live() {
  if [ -z "$goes_on" ]; then
    command tandem live "$@" --no-screen --until-idle 11s
  else
    command tandem live "$@" --no-screen &
    begun
  fi
}

# events FIRST COUNT DAY: clicks of a morning, one a second
events() {
  local n
  for ((n = $1; n < $1 + $2; n++)); do
    printf '{"event_id": "e%d", "event_time": "%sT09:00:%02dZ", "user_id": %d, "page": "home", "country": "DE", "amount": %d.5}\n' \
      "$n" "$3" $((n % 60)) $((n % 7)) "$n"
  done
}

# as_parquet FROM TO: lines of JSON, their ids changed
as_parquet() {
  python3 - "$@" <<'END'
import json, sys
import pyarrow as pa, pyarrow.compute as pc, pyarrow.parquet as pq
with open(sys.argv[1]) as lines:
    table = pa.Table.from_pylist([{**json.loads(line), "event_id": f"p{at}"} for at, line in enumerate(lines)])
times = pc.strptime(table["event_time"], "%Y-%m-%dT%H:%M:%SZ", "us").cast(pa.timestamp("us", "UTC"))
pq.write_table(table.set_column(1, "event_time", times), sys.argv[2])
END
}

# A broker with the topic and the subscription of the pages
broker() {
  command tandem emulator --port "$EMULATOR_PORT" > emulator.txt &
  until grep -q export emulator.txt; do sleep 0.1; done
  tandem pubsub create-topic "$topic"
  tandem pubsub create-subscription "$subscription" --topic "$topic"
}

# send FIRST COUNT DAY: the same events as messages
send() {
  events "$@" > sent.jsonl
  tandem publish --definition "$clicks" --files sent.jsonl --topic "$topic"
}

# stays FLAGS: live in the background, once it has written something
stays() {
  command tandem live --definition "$clicks" --subscription "$subscription" --no-screen --home data "$@" &
  begun
}

# live has written something
begun() { until [ -n "$(echo data/journal/**/*.avro)" ]; do sleep 0.2; done; }

# what is looked at once a page is through
after() { :; }

# taken_in: what was sent is in a generation of its own, which batch has
taken_in() {
  until tandem seal --wait 30s --home data && tandem backfill --definition "$clicks" --home data 2>&1 | grep "took in"; do
    sleep 0.5
  done
}

# has_run FIRST COUNT DAY: live took these in, and has ended
has_run() {
  send "$@"
  tandem live --definition "$clicks" --subscription "$subscription" --home data
}
