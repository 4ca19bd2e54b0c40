"""Integrations of training libraries: one module each, which needs its library to be installed."""
