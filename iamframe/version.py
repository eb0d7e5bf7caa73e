"""The version is a constant, because reading the metadata costs too much time: a tenth of the import of pandas."""

__version__ = "0.2.0"
