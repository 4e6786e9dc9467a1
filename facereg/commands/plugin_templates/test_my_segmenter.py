"""What every segmenter promises, checked on MySegmenter; add what yours promises."""

from facereg.commands.plugin_templates.my_segmenter import MySegmenter
from facereg.testing import SegmenterContract


class TestMySegmenter(SegmenterContract):
    """The checks of `facereg.testing.SegmenterContract`."""

    component = MySegmenter
