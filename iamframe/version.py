"""The version of iamframe. Reading the metadata would take a tenth of the import time of pandas."""

__version__ = "0.2.0"
