"""Finds several OpenCVs in one environment: they overwrite each other's files."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Mapping

#: Distributions that all write the one package cv2.
DISTRIBUTIONS = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)


def installed_opencvs() -> dict[str, str]:
    """Find the distributions of OpenCV in this environment: name -> version."""
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def opencv_clash(versions: Mapping[str, str]) -> str | None:
    """Describe a clash in one line with its cure; None if there is none.

    Args:
        versions: what `installed_opencvs` found.

    >>> opencv_clash({"opencv-python": "4.13.0", "opencv-python-headless": "4.13.0"})
    """
    if len(set(versions.values())) < 2:
        return None
    named = " and ".join(f"{name} {version}" for name, version in versions.items())
    usable = [v for v in versions.values() if v.startswith("4.")]
    wanted = f"=={max(usable, key=_numbers)}" if usable else ">=4.10,<5"
    packages = " ".join(f"'{name}{wanted}'" for name in versions)
    return (
        f"{named} write into one folder, cv2, and are of different versions: "
        f"pip install --force-reinstall --no-deps {packages}"
    )


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
