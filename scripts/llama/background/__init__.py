"""What is drawn: background neutrinos, plain or weighted, and those of sources."""
