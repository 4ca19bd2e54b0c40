"""Measurements: each prints a table and writes JSON to benchmarks/out. Never part of the timed test suite."""
