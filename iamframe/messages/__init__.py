"""Texts of messages: counts and names in sentences."""
