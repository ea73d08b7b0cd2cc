"""What it costs: see ``python -m benchmarks --help``."""
