"""Masks in other tools' formats, both ways. Each format is a module that says what it holds."""

from __future__ import annotations
