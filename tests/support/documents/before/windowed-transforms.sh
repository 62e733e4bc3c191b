events 0 5 2026-01-05 > yesterday.jsonl
topic=projects/project/topics/clicks
subscription=projects/project/subscriptions/clicks
broker
tandem pubsub create-topic projects/project/topics/results
tandem pubsub create-subscription projects/project/subscriptions/results --topic projects/project/topics/results
# Events of now: what is late for the runner is dropped by it.
events 0 5 "$(date -u +%F)" | sed "s/T09:00/$(date -u +T%H:%M)/" > sent.jsonl
tandem publish --definition "$clicks" --files sent.jsonl --topic "$topic"

windowed_from_messages() { command tandem windowed "$@" & }
names+=("tandem windowed --definition examples/clicks/clicks.yaml --subscription=>windowed_from_messages --definition examples/clicks/clicks.yaml --subscription")

after() {
  python3 - projects/project/subscriptions/results <<'END'
import sys
from google.cloud import pubsub_v1
with pubsub_v1.SubscriberClient() as subscriber:
    while not subscriber.pull(subscription=sys.argv[1], max_messages=1).received_messages:
        pass
END
}
