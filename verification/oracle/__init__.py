"""What answers must be, computed naively and apart from the product."""
