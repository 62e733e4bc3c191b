"""An oracle: the expected answers, computed naively and independently of the product."""
