"""The texts of all messages, and functions that fill the texts with facts."""
