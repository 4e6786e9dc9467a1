"""The network: a backbone, pyramid pooling, and a decoder up to stride 4.

PSPNet: Zhao et al., "Pyramid Scene Parsing Network", CVPR 2017. The decoder adds the backbone's
finer features, as in a feature pyramid (Lin et al., CVPR 2017; with pyramid pooling on top: Xiao et
al., "UPerNet", ECCV 2018), and joins them at stride 4 as in DeepLabv3+ (Chen et al., ECCV 2018).
This costs less than the dilated last stage of the original and draws finer edges.

Shapes in the comments are for an input of 384 x 384 at output stride 32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .backbones import build_backbone

#: Cells a side of each level of the pyramid.
BINS = (1, 2, 3, 6)

#: Mean and standard deviation of ImageNet's pixels, RGB, 0 to 1: what crops are normalised by.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def conv_bn(cin: int, cout: int, kernel: int, groups: int = 1) -> nn.Sequential:
    """Convolve at stride 1, normalise, rectify."""
    conv = nn.Conv2d(cin, cout, kernel, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(cout), nn.ReLU(inplace=True))


def separable(cin: int, cout: int) -> nn.Sequential:
    """Convolve each channel 3 x 3, then mix the channels."""
    return nn.Sequential(conv_bn(cin, cin, 3, groups=cin), conv_bn(cin, cout, 1))


def upsample(x: Tensor, like: Tensor) -> Tensor:
    """Enlarge a feature map to another's height and width."""
    times = int(like.shape[2]) / int(x.shape[2])  # a constant in an exported graph, unlike a size
    return F.interpolate(x, scale_factor=times, mode="bilinear", align_corners=False)


def pool_bins(x: Tensor, bins: int) -> Tensor:
    """Average a square feature map over bins x bins cells, as `adaptive_avg_pool2d` does.

    If the cells do not divide the map evenly, a constant matrix averages them: ONNX has no
    operator for it.
    """
    side = int(x.shape[2])
    if side % bins == 0:
        return F.adaptive_avg_pool2d(x, bins)
    shares = torch.zeros(bins, side)
    for i in range(bins):
        first, last = i * side // bins, -(-(i + 1) * side // bins)
        shares[i, first:last] = 1 / (last - first)
    shares = shares.to(x)
    return shares @ x @ shares.T


class PyramidPooling(nn.Module):
    """Pool to 1, 2, 3 and 6 bins a side, and concatenate the four with the features."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(conv_bn(channels, width, 1) for _ in BINS)

    def forward(self, x: Tensor) -> Tensor:
        parts = [x]
        for bins, branch in zip(BINS, self.branches, strict=True):
            pooled = branch(pool_bins(x, bins))
            parts.append(upsample(pooled, x))
        return torch.cat(parts, 1)


class PSPNet(nn.Module):
    """Parse a face crop into per-class logits at a quarter of its size.

    Args:
        backbone: one of `backbones.BACKBONES`.
        classes: number of classes, background included.
        output_stride: 8, 16 or 32, the stride of the backbone's last features.
        pool: channels of each pyramid branch.
        width: channels of the head where it is coarse.
        fine: channels of the head at stride 4.
        skip: channels kept from the backbone's stride-4 features.
    """

    def __init__(
        self,
        backbone: str = "mobilenet_v2",
        classes: int = 21,
        *,
        output_stride: int = 32,
        pool: int = 80,
        width: int = 128,
        fine: int = 96,
        skip: int = 32,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "backbone": backbone,
            "classes": classes,
            "output_stride": output_stride,
            "pool": pool,
            "width": width,
            "fine": fine,
            "skip": skip,
        }
        self.backbone = build_backbone(backbone, output_stride)
        at4, at8, at16, last = self.backbone.channels
        self.ppm = PyramidPooling(last, pool)
        self.fuse = conv_bn(last + len(BINS) * pool, width, 1)
        self.lateral16 = conv_bn(at16, width, 1)
        self.merge16 = separable(width, width)
        self.lateral8 = conv_bn(at8, width, 1)
        self.merge8 = separable(width, fine)
        self.skip = conv_bn(at4, skip, 1)
        self.refine = nn.Sequential(separable(fine + skip, fine), separable(fine, fine))
        self.classify = nn.Conv2d(fine, classes, 1)

    def forward(self, x: Tensor) -> Tensor:  # (N, 3, 384, 384)
        at4, at8, at16, last = self.backbone(x)
        y = self.fuse(self.ppm(last))  # (N, 128, 12, 12)
        y = self.merge16(upsample(y, at16) + self.lateral16(at16))  # (N, 128, 24, 24)
        y = self.merge8(upsample(y, at8) + self.lateral8(at8))  # (N, 96, 48, 48)
        y = self.refine(torch.cat([upsample(y, at4), self.skip(at4)], 1))  # (N, 96, 96, 96)
        logits: Tensor = self.classify(y)  # (N, 21, 96, 96)
        return logits


class Deployed(nn.Module):
    """The network with its preprocessing: crops (N, S, S, 3) uint8 BGR in, logits out."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", 255 * torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, crops: Tensor) -> Tensor:
        rgb = crops.permute(0, 3, 1, 2).float()[:, [2, 1, 0]]
        logits: Tensor = self.network((rgb - self.mean) / self.std)
        return logits
