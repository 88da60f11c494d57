"""Droplets: made, paid for, reached, destroyed; their queue and their storage."""
