#!/usr/bin/env python3
"""Golden values of a small U-Net and a residual block with skips, from PyTorch in float64.

    python scripts/golden/torch_unet.py           writes tests/nn/golden/unet.h5 (read by tests/nn/test_golden.c)

Needs torch and h5py. The network is tests/nn/golden/unet.yaml. Holds the output and every gradient of step 1 (Dice loss) and all parameters
after ten steps of torch.optim.AdamW.
"""
import os
import sys

import h5py
import numpy as np
import torch
from torch import nn

sys.path.insert(0, os.path.dirname(__file__))
import golden

HERE = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "nn", "golden")
ZYX, STEPS = (8, 16, 12), 10
torch.set_default_dtype(torch.float64)


class UNet(nn.Module):
    """Two levels: a residual block, a strided convolution down, a block, transposed convolution and trilinear upsampling up, skips."""

    def __init__(self):
        super().__init__()
        conv = lambda i, o, k, s=1, bias=True: nn.Conv3d(i, o, k, s, k // 2, bias=bias)
        norm = lambda c: nn.InstanceNorm3d(c, affine=True)
        self.a, self.a_norm = conv(1, 8, 3, bias=False), norm(8)
        self.b, self.b_norm, self.p = conv(8, 9, 3, bias=False), norm(9), conv(1, 9, 1)
        self.down, self.down_norm = conv(9, 8, 3, 2, False), nn.GroupNorm(4, 8)
        self.deep, self.deep_norm = conv(8, 9, 3, 2, False), norm(9)
        self.up = nn.ConvTranspose3d(9, 9, 2, 2, bias=False)
        self.c, self.c_norm = conv(17, 8, 3, 1, False), nn.BatchNorm3d(8, momentum=0.2)
        self.head = conv(17, 1, 1)
        self.act = nn.LeakyReLU(0.01)

    def forward(self, x):
        a = self.act(self.a_norm(self.a(x)))
        block = self.act(self.b_norm(self.b(a)) + self.p(x))
        down = self.act(self.down_norm(self.down(block)))
        deep = self.act(self.deep_norm(self.deep(down)))
        c = self.act(self.c_norm(self.c(torch.cat([self.up(deep), down], 1))))
        c = nn.functional.interpolate(c, scale_factor=2, mode="trilinear", align_corners=False)
        return torch.sigmoid(self.head(torch.cat([c, block], 1)))


# In the order unet.yaml declares its parameters.
LAYERS = ["a", "a_norm", "b", "b_norm", "p", "down", "down_norm", "deep", "deep_norm", "up", "c", "c_norm", "head"]


def named(model):
    for layer in LAYERS:
        module = getattr(model, layer)
        norm = "norm" in layer
        yield layer + (".gamma" if norm else ".w"), module.weight
        if module.bias is not None:
            yield layer + (".beta" if norm else ".b"), module.bias
        if layer == "c_norm":
            yield "c_norm.moving_mean", module.running_mean
            yield "c_norm.moving_variance", module.running_var


def dice(p, t):
    return 1 - (2 * (p * t).sum() + 1e-6) / (p.sum() + t.sum() + 1e-6)


def main():
    model = UNet()
    with torch.no_grad():
        for index, (name, tensor) in enumerate(named(model)):
            tensor.copy_(torch.tensor(golden.initial(index, name, tuple(tensor.shape))))
    source = torch.tensor((golden.draw(1, (2, 1, *ZYX)) > 0.3).astype(np.float64))
    target = torch.tensor((golden.draw(2, (2, 1, *ZYX)) > 0.2).astype(np.float64))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    with h5py.File(os.path.join(HERE, "unet.h5"), "w", libver="v108") as file:
        put = lambda name, tensor: file.create_dataset(name, data=tensor.detach().numpy().astype(np.float32))
        for step in range(1, STEPS + 1):
            optimizer.zero_grad()
            p = model(source)
            loss = dice(p, target)
            loss.backward()
            if step == 1:
                put("dst", p)
                put("loss", loss.reshape(1))
                for name, tensor in named(model):
                    if tensor.requires_grad:
                        put("grad/" + name, tensor.grad)
            optimizer.step()
        for name, tensor in named(model):
            put("value/" + name, tensor)
        model.eval()
        put("dst_test", model(source))
    print("loss", loss.item())


main()
