"""The backbones: they turn a crop into features at strides 4, 8, 16 and the output stride.

MobileNetV2: Sandler et al., CVPR 2018. EfficientNet-Lite: Tan and Le, "EfficientNet", ICML 2019, in
its authors' form for small machines: without squeeze-and-excitation, with ReLU6. ResNet: He et al.,
CVPR 2016. Layers have the names of the ImageNet files that `facereg.training.pretrained` knows, so
that these load. They are written out here because a segmenter needs its own strides and dilations.

Shapes in the comments are for an input of 384 x 384 at output stride 32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

#: Features from fine to coarse; `channels` of a backbone counts theirs.
Features = tuple[Tensor, Tensor, Tensor, Tensor]


def relu6(
    cin: int, cout: int, kernel: int, stride: int = 1, dilation: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolve, normalise, rectify up to 6, as MobileNetV2 does."""
    pad = kernel // 2 * dilation
    conv = nn.Conv2d(cin, cout, kernel, stride, pad, dilation, groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(cout), nn.ReLU6(inplace=True))


def block_strides(
    stages: Sequence[tuple[int, int]], output_stride: int
) -> Iterator[tuple[int, int, int]]:
    """Yield the stage, stride and dilation of each block after a stem of stride 2.

    Past the output stride, blocks are dilated instead of lowering the resolution.

    Args:
        stages: stride of the first block, and number of blocks.
        output_stride: 8, 16 or 32.
    """
    at, dilation = 2, 1
    for stage, (stride, blocks) in enumerate(stages):
        for i in range(blocks):
            step, reach = stride if i == 0 else 1, dilation
            if step == 2 and at == output_stride:
                step, dilation = 1, dilation * 2
            at *= step
            yield stage, step, reach


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
        cin = 32
        stages = [(stride, blocks) for _, _, blocks, stride in self.STAGES]
        for stage, stride, dilation in block_strides(stages, output_stride):
            expand, cout, _, _ = self.STAGES[stage]
            layers.append(InvertedResidual(cin, cout, stride, dilation, expand))
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


class MBConv(nn.Module):
    """EfficientNet's block: widen, convolve each channel, narrow, add."""

    def __init__(
        self, cin: int, cout: int, kernel: int, stride: int, dilation: int, expand: int
    ) -> None:
        super().__init__()
        hidden = cin * expand
        self.residual = stride == 1 and cin == cout
        self.widens = expand != 1
        if self.widens:
            self._expand_conv = nn.Conv2d(cin, hidden, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(hidden, eps=1e-3)
        pad = kernel // 2 * dilation
        self._depthwise_conv = nn.Conv2d(
            hidden, hidden, kernel, stride, pad, dilation, groups=hidden, bias=False
        )
        self._bn1 = nn.BatchNorm2d(hidden, eps=1e-3)
        self._project_conv = nn.Conv2d(hidden, cout, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(cout, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        wide = F.relu6(self._bn0(self._expand_conv(x)), inplace=True) if self.widens else x
        wide = F.relu6(self._bn1(self._depthwise_conv(wide)), inplace=True)
        y: Tensor = self._bn2(self._project_conv(wide))
        return x + y if self.residual else y


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite without its last 1 x 1 convolution and classifier.

    Args:
        depths: number of blocks in each of the seven stages.
        output_stride: 8, 16 or 32.

    Attributes:
        ends: numbers of the blocks after which strides 4, 8 and 16 are complete.
    """

    # expansion, channels, kernel, stride
    STAGES = (
        (1, 16, 3, 1),
        (6, 24, 3, 2),
        (6, 40, 5, 2),
        (6, 80, 3, 2),
        (6, 112, 5, 1),
        (6, 192, 5, 2),
        (6, 320, 3, 1),
    )
    channels = (24, 40, 112, 320)

    def __init__(self, depths: Sequence[int], output_stride: int) -> None:
        super().__init__()
        self._conv_stem = nn.Conv2d(3, 32, 3, 2, 1, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        blocks: list[nn.Module] = []
        cin = 32
        strides = [stride for _, _, _, stride in self.STAGES]
        stages = list(zip(strides, depths, strict=True))
        for stage, stride, dilation in block_strides(stages, output_stride):
            expand, cout, kernel, _ = self.STAGES[stage]
            blocks.append(MBConv(cin, cout, kernel, stride, dilation, expand))
            cin = cout
        self._blocks = nn.ModuleList(blocks)
        self.ends = (sum(depths[:2]), sum(depths[:3]), sum(depths[:5]))

    @property
    def stem(self) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
        """The first convolution, and what follows it."""
        return self._conv_stem, self._bn0

    def forward(self, x: Tensor) -> Features:
        x = F.relu6(self._bn0(self._conv_stem(x)), inplace=True)
        fine: list[Tensor] = []
        for i, block in enumerate(self._blocks):
            if i in self.ends:
                fine.append(x)
            x = block(x)
        at4, at8, at16 = fine  # (N, 24, 96, 96), (N, 40, 48, 48), (N, 112, 24, 24)
        return at4, at8, at16, x  # (N, 320, 12, 12)


Backbone = MobileNetV2 | EfficientNetLite | ResNet


def build_backbone(name: str, output_stride: int) -> Backbone:
    """Make a backbone by its usual name."""
    match name:
        case "mobilenet_v2":
            return MobileNetV2(output_stride)
        case "efficientnet_lite0":
            return EfficientNetLite((1, 2, 2, 3, 3, 4, 1), output_stride)
        case "efficientnet_lite1":
            return EfficientNetLite((1, 3, 3, 4, 4, 5, 1), output_stride)
        case "resnet18":
            return ResNet(BasicBlock, (2, 2, 2, 2), output_stride)
        case "resnet50":
            return ResNet(Bottleneck, (3, 4, 6, 3), output_stride)
    raise ValueError(f"unknown backbone {name!r}: known are {', '.join(BACKBONES)}")


BACKBONES = (
    "mobilenet_v2",
    "efficientnet_lite0",
    "efficientnet_lite1",
    "resnet18",
    "resnet50",
)
