"""The whole network: a backbone, pyramid pooling, and a way back up to stride 4.

PSPNet: Zhao et al., "Pyramid Scene Parsing Network", CVPR 2017. MobileNetV2: Sandler et al., CVPR
2018. ResNet: He et al., CVPR 2016. On the way up the backbone's finer features are added, as in a
feature pyramid (Lin et al., CVPR 2017; with pyramid pooling on top: Xiao et al., "UPerNet", ECCV
2018), and joined at stride 4 as in DeepLabv3+ (Chen et al., ECCV 2018): that costs less than the
dilated last stage of the original and draws finer edges. The backbones are named as torchvision
names them, so that its ImageNet files load; they are written out here because a segmenter needs
strides and dilations of its own, and so that running facereg does not import torchvision.

Shapes in the comments are for an input of 384 x 384 at output stride 32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BINS = (1, 2, 3, 6)


def conv_bn(cin: int, cout: int, kernel: int, groups: int = 1) -> nn.Sequential:
    """Convolve at stride 1, normalise, rectify."""
    conv = nn.Conv2d(cin, cout, kernel, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(cout), nn.ReLU(inplace=True))


def separable(cin: int, cout: int) -> nn.Sequential:
    """Convolve each channel 3 x 3, then mix the channels."""
    return nn.Sequential(conv_bn(cin, cin, 3, groups=cin), conv_bn(cin, cout, 1))


# --- backbones: forward() gives the features at strides 4, 8 and 16, and the last ones -----------

#: Features from fine to coarse; `channels` of a backbone counts theirs.
Features = tuple[Tensor, Tensor, Tensor, Tensor]


def relu6(
    cin: int, cout: int, kernel: int, stride: int = 1, dilation: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolve, normalise, rectify up to 6, as MobileNetV2 does."""
    pad = kernel // 2 * dilation
    conv = nn.Conv2d(cin, cout, kernel, stride, pad, dilation, groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(cout), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    """MobileNetV2's block: widen, convolve each channel, narrow, add."""

    def __init__(self, cin: int, cout: int, stride: int, dilation: int, expand: int) -> None:
        super().__init__()
        hidden = cin * expand
        self.residual = stride == 1 and cin == cout
        layers: list[nn.Module] = []
        if expand != 1:
            layers.append(relu6(cin, hidden, 1))
        layers += [
            relu6(hidden, hidden, 3, stride, dilation, groups=hidden),
            nn.Conv2d(hidden, cout, 1, bias=False),
            nn.BatchNorm2d(cout),
        ]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.residual else y


class MobileNetV2(nn.Module):
    """torchvision's ``mobilenet_v2`` without its last 1 x 1 convolution and classifier."""

    # expansion, channels, blocks, stride
    STAGES = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )
    channels = (24, 32, 96, 320)

    def __init__(self, output_stride: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [relu6(3, 32, 3, stride=2)]
        cin, at, dilation = 32, 2, 1
        for expand, cout, blocks, stride in self.STAGES:
            for i in range(blocks):
                step = stride if i == 0 else 1
                reach = dilation
                if step == 2 and at == output_stride:  # keep the resolution, widen the view
                    step, dilation = 1, dilation * 2
                at *= step
                layers.append(InvertedResidual(cin, cout, step, reach, expand))
                cin = cout
        self.features = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Features:
        at4 = self.features[:4](x)  # (N, 24, 96, 96)
        at8 = self.features[4:7](at4)  # (N, 32, 48, 48)
        at16 = self.features[7:14](at8)  # (N, 96, 24, 24)
        return at4, at8, at16, self.features[14:](at16)  # (N, 320, 12, 12)


class BasicBlock(nn.Module):
    """ResNet-18's block: two 3 x 3 convolutions, add."""

    expansion = 1

    def __init__(
        self, cin: int, width: int, stride: int, dilation: int, down: nn.Module | None
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(cin, width, 3, stride, dilation, dilation, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = down

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """ResNet-50's block: narrow, convolve, widen, add. Its stride is on the 3 x 3."""

    expansion = 4

    def __init__(
        self, cin: int, width: int, stride: int, dilation: int, down: nn.Module | None
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(cin, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * 4)
        self.downsample = down

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


def resnet_layers(
    block: type[BasicBlock | Bottleneck], depths: Sequence[int], cin: int, output_stride: int
) -> list[nn.Sequential]:
    """Make layer1 to layer4 of a ResNet, dilated past the output stride."""
    layers, at, dilation = [], 4, 1
    for i, depth in enumerate(depths):
        width, stride = 64 << i, 1 if i == 0 else 2
        if stride == 2 and at == output_stride:
            stride, dilation = 1, dilation * 2
        at *= stride
        blocks: list[nn.Module] = []
        for j in range(depth):
            step = stride if j == 0 else 1
            down: nn.Module | None = None
            if j == 0 and (step != 1 or cin != width * block.expansion):
                conv = nn.Conv2d(cin, width * block.expansion, 1, step, bias=False)
                down = nn.Sequential(conv, nn.BatchNorm2d(width * block.expansion))
            blocks.append(block(cin, width, step, dilation, down))
            cin = width * block.expansion
        layers.append(nn.Sequential(*blocks))
    return layers


class ResNet(nn.Module):
    """torchvision's ResNet without its classifier."""

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        depths: Sequence[int],
        output_stride: int,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1, self.layer2, self.layer3, self.layer4 = resnet_layers(
            block, depths, 64, output_stride
        )
        self.channels = tuple(width * block.expansion for width in (64, 128, 256, 512))

    def forward(self, x: Tensor) -> Features:
        at4 = self.layer1(F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1))
        at8 = self.layer2(at4)
        at16 = self.layer3(at8)
        return at4, at8, at16, self.layer4(at16)


def build_backbone(name: str, output_stride: int) -> MobileNetV2 | ResNet:
    """Make a backbone by its torchvision name."""
    match name:
        case "mobilenet_v2":
            return MobileNetV2(output_stride)
        case "resnet18":
            return ResNet(BasicBlock, (2, 2, 2, 2), output_stride)
        case "resnet50":
            return ResNet(Bottleneck, (3, 4, 6, 3), output_stride)
    raise ValueError(f"unknown backbone {name!r}: known are {', '.join(BACKBONES)}")


BACKBONES = ("mobilenet_v2", "resnet18", "resnet50")


# --- the segmentation head -----------------------------------------------------------------------


def upsample(x: Tensor, like: Tensor) -> Tensor:
    """Enlarge a feature map to another's height and width."""
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)


class PyramidPooling(nn.Module):
    """Pool to 1, 2, 3 and 6 bins a side, and lay the four beside the features."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(conv_bn(channels, width, 1) for _ in BINS)

    def forward(self, x: Tensor) -> Tensor:
        parts = [x]
        for bins, branch in zip(BINS, self.branches, strict=True):
            pooled = branch(F.adaptive_avg_pool2d(x, bins))
            parts.append(upsample(pooled, x))
        return torch.cat(parts, 1)


class PSPNet(nn.Module):
    """Parse a face crop into per-class logits at a quarter of its size.

    Args:
        backbone: one of `BACKBONES`.
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
        self.dropout = nn.Dropout2d(0.1)
        self.classify = nn.Conv2d(fine, classes, 1)

    def forward(self, x: Tensor) -> Tensor:  # (N, 3, 384, 384)
        at4, at8, at16, last = self.backbone(x)
        y = self.fuse(self.ppm(last))  # (N, 128, 12, 12)
        y = self.merge16(upsample(y, at16) + self.lateral16(at16))  # (N, 128, 24, 24)
        y = self.merge8(upsample(y, at8) + self.lateral8(at8))  # (N, 96, 48, 48)
        y = self.refine(torch.cat([upsample(y, at4), self.skip(at4)], 1))  # (N, 96, 96, 96)
        logits: Tensor = self.classify(self.dropout(y))  # (N, 21, 96, 96)
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
