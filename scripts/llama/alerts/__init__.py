"""Alerts of every form: heard, kept, and taken over as events."""
