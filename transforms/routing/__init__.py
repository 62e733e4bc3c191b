"""Routes decoded events to the tiles and shards in which they count."""
