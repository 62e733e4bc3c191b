events 0 5 2026-01-05 > today.jsonl
tandem backfill --definition "$clicks" --files today.jsonl --home data
mkdir catalog
export PYICEBERG_CATALOG__PROD__URI=sqlite:///$PWD/catalog/catalog.db PYICEBERG_CATALOG__PROD__WAREHOUSE=file://$PWD/catalog
