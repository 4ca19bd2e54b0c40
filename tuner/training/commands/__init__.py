"""Workloads that are commands: their files, their processes, their reports."""
