"""What docs/*/performance.md quotes: `python benchmarks/run.py`."""
