broker
has_run 0 5 2026-01-05
tandem backfill --definition "$clicks" --home data
sqlite3() { python3 -c 'import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()' "$@"; }
sqlite3 data/views.db "DELETE FROM batch_states"
