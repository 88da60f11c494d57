"""Catalogues: many events as one search, with its trials."""
