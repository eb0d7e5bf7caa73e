"""The version is a constant, because reading the metadata takes a tenth of the time that importing pandas takes."""

__version__ = "0.2.0"
