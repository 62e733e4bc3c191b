"""What is counted: clicks, their definitions, and journals of them."""
