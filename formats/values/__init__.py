"""Parses texts to typed columns: numbers, decimals, and times; one rule a type, whatever the format."""
