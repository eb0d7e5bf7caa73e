"""The version is a constant, because reading the metadata is slow (10 % of the time for importing pandas)."""

__version__ = "0.2.0"
