"""The texts of messages that have an id, and functions that fill values into the texts."""
