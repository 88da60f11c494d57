"""What an alert says, in every form, and how an event takes it."""
