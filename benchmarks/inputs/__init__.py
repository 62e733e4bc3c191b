"""The input of benchmarks: clicks, their definitions, and journals of them."""
