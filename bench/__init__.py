"""Measurements, one script per table of docs/results: `python -m bench.storm`."""
