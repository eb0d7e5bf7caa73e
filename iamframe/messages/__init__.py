"""The texts of all messages, and functions that fill values into the texts."""
