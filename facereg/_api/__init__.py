"""What Python users call."""

from __future__ import annotations

from .components import DETECTOR as DETECTOR
from .components import SEGMENTER as SEGMENTER
from .components import build_segmenter as build_segmenter
from .face_parser import FaceParser as FaceParser
from .face_parser import parse as parse
from .files import open_masks as open_masks
from .files import read_stats as read_stats
from .results import Results as Results
from .results import process as process
