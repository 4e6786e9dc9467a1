"""A small plugin, and a look into a registry."""

from __future__ import annotations

from facereg.registry.registry import Component, Registry

DETECTOR = """
    import facereg

    class Mine(facereg.Detector):
        "Finds nothing."
        name = "{name}"

        def __init__(self, *, size: int = 3):
            self.size = size

        def detect(self, frame):
            return []

    @facereg.hookimpl
    def register_detectors():
        return [Mine]
"""


def found(registry: Registry, kind: str, name: str) -> Component | None:
    return next((c for c in registry.components(kind) if c.name == name), None)
