mkdir history
events 0 20 2026-01-05 > clicks.jsonl
as_parquet clicks.jsonl history/1.parquet
cat > my_measures.py <<'END'
from tandem.schemas.measures.moments.count import Count
from tandem.schemas.measures.registry import MeasureKind, register


def build(spec):
    spec.column()
    return Count()


register(MeasureKind("how_many", "{how_many: COLUMN}", build))
END
sed 's/^  clicks: count/  clicks: count\n  rows: {how_many: page}/' "$clicks" > mine.yaml
cp examples/clicks/clicks.avsc .
