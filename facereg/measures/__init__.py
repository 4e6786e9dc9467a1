"""From masks and landmarks to what people measure: openings, pose, colour, events."""

from __future__ import annotations

from .face import cells as cells
from .face import measure_face as measure_face
from .motion import Motion as Motion
from .table import MEASURES as MEASURES
from .table import Measure as Measure
from .table import columns as columns
