"""States of measures as bytes and as columns: canonical encodings, ragged columns, and exact totals."""
