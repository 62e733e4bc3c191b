"""From where to where: live, backfill, publish. Batch and streaming differ only here."""
