"""Dated facts with their sources, and the code that reads them."""
