broker
send 0 5 2026-01-05
events 0 5 2025-12-01 > 1.jsonl
as_parquet 1.jsonl 1.parquet
python3 - <<'END'
import os
from tandem.storage.opening import objects_at
from tandem.storage.urls import location

data = open("1.parquet", "rb").read()
for scheme, key in (("gs", "history/clicks/1.parquet"), ("s3", "archive/clicks/year=2025/1.parquet")):
    objects_at(location(f"{scheme}://{os.environ['BUCKET']}")).create(key, data)
END
names+=("gs://demo-history/=>gs://$BUCKET/history/" "s3://demo-archive/=>s3://$BUCKET/archive/")
names+=("gs://demo-tandem/=>gs://$BUCKET/" "s3://demo-tandem/=>s3://$BUCKET/")
