"""The version of facereg."""

__version__ = "0.2.0"
