"""What every source promises, checked on MySource; add what yours promises."""

from pathlib import Path

from facereg.commands.plugin_templates.my_source import MySource
from facereg.testing import SourceContract


class TestMySource(SourceContract):
    """The checks of `facereg.testing.SourceContract`."""

    component = MySource
    missing = "no number"

    def make_spec(self, tmp_path: Path) -> str:
        return "2"
