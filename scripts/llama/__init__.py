"""LLAMA: gravitational-wave and high-energy-neutrino coincidences in low latency."""

__version__ = "0.1.0"
