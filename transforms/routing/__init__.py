"""From decoded events to the tiles and shards that they count in."""
