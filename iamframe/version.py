"""The version: a constant, since asking the installed metadata takes as long as a tenth of pandas to load."""

__version__ = "0.1.0"
