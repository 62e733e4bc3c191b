"""Computing chosen tiles again, and judging what batch and live have of them."""
