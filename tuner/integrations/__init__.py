"""Training libraries, attached to a run: one module each, importable where its library is installed."""
