"""The version of facereg."""

__version__ = "0.1.0"
