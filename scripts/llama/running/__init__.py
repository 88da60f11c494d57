"""Keeping the events up to date: alerts taken over, Snakemake called, troubles remembered."""
