"""What every detector promises, checked on MyDetector; add what yours promises."""

from facereg.commands.plugin_templates.my_detector import MyDetector
from facereg.testing import DetectorContract


class TestMyDetector(DetectorContract):
    """The checks of `facereg.testing.DetectorContract`."""

    component = MyDetector
