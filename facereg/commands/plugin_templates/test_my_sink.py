"""What every sink promises, checked on MySink; add what yours promises."""

from pathlib import Path

from facereg.commands.plugin_templates.my_sink import MySink
from facereg.testing import SinkContract


class TestMySink(SinkContract):
    """The checks of `facereg.testing.SinkContract`."""

    component = MySink

    def make(self, tmp_path: Path) -> MySink:
        return MySink(path=tmp_path / "out.txt")
