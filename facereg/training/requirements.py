"""Check that the packages of the extra ``train`` are installed."""

from __future__ import annotations

from importlib.util import find_spec

from ..errors import missing_extra

#: The packages that training and exporting import.
PACKAGES = ("torch", "safetensors", "onnx")


def check_installed(purpose: str) -> None:
    """Check that training and exporting can import their packages.

    Args:
        purpose: what needs them, as the start of the error message.

    Raises:
        FaceregError: a package is not installed; the message names the command that installs it.
    """
    for package in PACKAGES:
        if find_spec(package) is None:
            raise missing_extra(package, "train", purpose)
