"""The version of iamframe. Reading the metadata would take a tenth as long as importing pandas."""

__version__ = "0.2.0"
