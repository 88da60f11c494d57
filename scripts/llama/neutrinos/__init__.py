"""Neutrino archives, sources and lists."""
