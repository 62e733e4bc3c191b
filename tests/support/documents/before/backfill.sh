mkdir -p history more
events 0 5 2025-12-01 > history/1.jsonl
events 5 5 2025-12-02 > history/2.jsonl
as_parquet history/1.jsonl more/2025.parquet
cp -r "$REPOSITORY/benchmarks" benchmarks
broker
has_run 10 5 2026-01-05
send 15 5 2026-01-06
stays
