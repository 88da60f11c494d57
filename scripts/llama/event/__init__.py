"""The event directory: names, flags, facts, significance."""
