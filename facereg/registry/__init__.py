"""Find, load and build components by name."""

from __future__ import annotations

from .registry import Registry as Registry
