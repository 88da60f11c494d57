"""Whether everything is there, unchanged, and can be made again."""
