"""Texts for others, and what becomes of them."""
