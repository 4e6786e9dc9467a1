"""Several OpenCVs in one environment are said once, with the cure."""

from __future__ import annotations

from facereg.commands.opencv import installed_opencvs, opencv_clash


def test_one_version_is_no_clash() -> None:
    assert opencv_clash({}) is None
    assert opencv_clash({"opencv-python": "4.13.0.92"}) is None
    assert opencv_clash(dict.fromkeys(("opencv-python", "opencv-contrib-python"), "4.13.0")) is None
    assert opencv_clash(installed_opencvs()) is None


def test_the_cure_installs_all_in_the_newest_usable_version() -> None:
    versions = {
        "opencv-python": "5.0.0",
        "opencv-python-headless": "4.9.1",
        "opencv-contrib-python-headless": "4.13.0",
    }

    line = opencv_clash(versions)

    assert line is not None
    assert "\n" not in line
    for name, version in versions.items():
        assert f"{name} {version}" in line
        assert f"'{name}==4.13.0'" in line
