broker
echo "no event" > bad.jsonl
events 0 5 2026-01-05 >> bad.jsonl
python3 - "$topic" <<'END'
import sys
from google.cloud import pubsub_v1
publisher = pubsub_v1.PublisherClient()
for line in open("bad.jsonl", "rb"):
    publisher.publish(sys.argv[1], line.strip()).result()
END
tandem live --definition "$clicks" --subscription "$subscription" --home data
letter=$(tandem deadletters list clicks --json --home data | python3 -c 'import json, sys; print(json.load(sys.stdin)["letters"][0]["letter"])')
names+=("000001-5f1c22ab90de77aa/0000/42#7=>$letter" "000001-5f1c22ab90de77aa/0000=>${letter%%/*}/0000")
