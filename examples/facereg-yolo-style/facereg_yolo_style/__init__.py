"""A single-shot face detector for facereg."""

from __future__ import annotations

import facereg

from .detector import YoloStyleDetector

#: The version of facereg's plugin interface that this was written for.
api_version = 1


@facereg.hookimpl
def register_detectors() -> list[type[facereg.Detector]]:
    """Name the detector to facereg."""
    return [YoloStyleDetector]
