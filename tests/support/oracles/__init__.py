"""What must hold, told without the product's own code."""
