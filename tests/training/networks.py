"""A small network for tests."""

from __future__ import annotations

import torch

from facereg.plugins.pspnet.network import PSPNet


def small_network(backbone: str = "mobilenet_v2") -> PSPNet:
    """Build a network with few channels, with the same random weights each time."""
    torch.manual_seed(0)
    return PSPNet(backbone, pool=8, width=16, skip=8)
