"""Background injections, their tables, and what a search can see."""
