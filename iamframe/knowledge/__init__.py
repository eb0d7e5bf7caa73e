"""Dated facts with their source, and the code that reads them."""
