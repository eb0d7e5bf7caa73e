"""The version of iamframe. Reading the version from the package's metadata would slow down the import."""

__version__ = "0.2.0"
