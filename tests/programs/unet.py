"""A U-Net that marks which points of a picture belong to a thing."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class DoubleConv(nn.Sequential):
    def __init__(self, in_channels, out_channels):
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
            nn.GroupNorm(2, out_channels),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
            nn.GroupNorm(2, out_channels),
            nn.SiLU(inplace=True),
        )


class Up(nn.Module):
    def __init__(self, in_channels, out_channels, bilinear):
        super().__init__()
        if bilinear:
            self.up = nn.Sequential(
                nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
                nn.Conv2d(in_channels, out_channels, 1),
            )
        else:
            self.up = nn.ConvTranspose2d(in_channels, out_channels, kernel_size=2, stride=2)
        self.conv = DoubleConv(2 * out_channels, out_channels)

    def forward(self, x, skip):
        x = self.up(x)
        dy, dx = skip.size(2) - x.size(2), skip.size(3) - x.size(3)
        x = F.pad(x, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        return self.conv(torch.cat([skip, x], dim=1))


class UNet(nn.Module):
    def __init__(self, in_channels=1, classes=1, width=4, depth=3):
        super().__init__()
        widths = [width * 2**i for i in range(depth)]
        self.downs = nn.ModuleList()
        for out in widths:
            self.downs.append(DoubleConv(in_channels, out))
            in_channels = out
        self.pool = nn.MaxPool2d(2)
        self.bottleneck = DoubleConv(widths[-1], 2 * widths[-1])
        self.ups = nn.ModuleList(
            Up(2 * out, out, bilinear=i % 2 == 0) for i, out in enumerate(reversed(widths))
        )
        self.head = nn.Conv2d(widths[0], classes, kernel_size=1)

    def forward(self, x):
        skips = []
        for down in self.downs:
            x = down(x)
            skips.append(x)
            x = self.pool(x)
        x = self.bottleneck(x)
        for up, skip in zip(self.ups, reversed(skips)):
            x = up(x, skip)
        return self.head(x)


def dice_loss(logits, target, smooth=1.0):
    probability = torch.sigmoid(logits)
    intersection = (probability * target).sum(dim=(1, 2, 3))
    total = probability.sum(dim=(1, 2, 3)) + target.sum(dim=(1, 2, 3))
    return 1 - ((2 * intersection + smooth) / (total + smooth)).mean()


def make_model():
    return UNet()


def make_batch(random):
    pictures = random.normal(size=(2, 1, 20, 20)).astype("float32")
    masks = (pictures > 0.5).astype("float32")
    return torch.from_numpy(pictures), torch.from_numpy(masks)


def loss_of(model, pictures, masks):
    logits = model(pictures)
    return F.binary_cross_entropy_with_logits(logits, masks) + dice_loss(logits, masks)
