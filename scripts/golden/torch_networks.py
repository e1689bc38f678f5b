#!/usr/bin/env python3
"""Golden values of our U-Nets, from PyTorch in float64.

    python scripts/golden/torch_networks.py [NAME...]                 narrow widths: writes tests/nn/golden/NAME.h5
    python scripts/golden/torch_networks.py --full FOLDER [NAME...]   the widths of configs/networks: writes FOLDER/NAME.h5
    GOLDEN_FLOAT=float32 ...                                          the same in float32, to see what rounding alone does (compare.py)

NAME: unet (one of every layer our U-Nets may use), unet3d, resunet3d (default: all; the first is narrow only). Needs torch and h5py;
tests/nn/test_golden.c reads the files. A file holds output and gradients of step 1 (Dice), the losses of all steps, all parameters and the
test output after the last step of torch.optim.AdamW; large outputs as every n-th value (attribute `every`).
"""
import os
import sys

import numpy as np
import torch
from torch import nn

sys.path.insert(0, os.path.dirname(__file__))
import golden

torch.set_default_dtype(getattr(torch, os.environ.get("GOLDEN_FLOAT", "float64")))
act = nn.LeakyReLU(0.01)


def conv(i, o, k, s=1, bias=False):
    return nn.Conv3d(i, o, k, s, k // 2, bias=bias)


def norm(c):
    return nn.InstanceNorm3d(c, affine=True)


class UNet(nn.Module):
    """Two levels: a residual block, a strided convolution down, a block, transposed convolution and trilinear upsampling up, skips."""

    zyx, batch, values_after = (8, 16, 12), 2, 10

    def __init__(self):
        super().__init__()
        self.a, self.a_norm = conv(1, 8, 3), norm(8)
        self.b, self.b_norm, self.p = conv(8, 9, 3), norm(9), conv(1, 9, 1, bias=True)
        self.down, self.down_norm = conv(9, 8, 3, 2), nn.GroupNorm(4, 8)
        self.deep, self.deep_norm = conv(8, 9, 3, 2), norm(9)
        self.up = nn.ConvTranspose3d(9, 9, 2, 2, bias=False)
        self.c, self.c_norm = conv(17, 8, 3), nn.BatchNorm3d(8, momentum=0.2)
        self.head = conv(17, 1, 1, bias=True)

    def forward(self, x):
        a = act(self.a_norm(self.a(x)))
        block = act(self.b_norm(self.b(a)) + self.p(x))
        down = act(self.down_norm(self.down(block)))
        deep = act(self.deep_norm(self.deep(down)))
        c = act(self.c_norm(self.c(torch.cat([self.up(deep), down], 1))))
        c = nn.functional.interpolate(c, scale_factor=2, mode="trilinear", align_corners=False)
        return torch.sigmoid(self.head(torch.cat([c, block], 1)))


class UNet3d(nn.Module):
    """configs/networks/unet3d.yaml: five levels of two convolutions, strided convolutions down, transposed ones up."""

    zyx, batch, widths, values_after = (32, 32, 32), 1, (2, 3, 8, 9, 4), 10

    def __init__(self, full=None):
        super().__init__()
        if full:
            self.zyx, self.widths = full, (16, 32, 64, 128, 256)
        w = self.widths
        for level in range(1, 6):
            self.add("enc%da" % level, conv(w[level - 2] if level > 1 else 1, w[level - 1], 3, 2 if level > 1 else 1))
            self.add("enc%db" % level, conv(w[level - 1], w[level - 1], 3))
        for level in range(4, 0, -1):
            self.add_module("up%d" % level, nn.ConvTranspose3d(w[level], w[level - 1], 2, 2, bias=False))
            self.add("dec%da" % level, conv(2 * w[level - 1], w[level - 1], 3))
            self.add("dec%db" % level, conv(w[level - 1], w[level - 1], 3))
        self.head = conv(w[0], 1, 1, bias=True)

    def add(self, name, module):
        self.add_module(name, module)
        self.add_module(name + "_norm", norm(module.out_channels))

    def run(self, name, x):
        return getattr(self, name + "_norm")(getattr(self, name)(x))

    def forward(self, x):
        skips = []
        for level in range(1, 6):
            x = act(self.run("enc%db" % level, act(self.run("enc%da" % level, x))))
            skips.append(x)
        for level in range(4, 0, -1):
            x = torch.cat([getattr(self, "up%d" % level)(x), skips[level - 1]], 1)
            x = act(self.run("dec%db" % level, act(self.run("dec%da" % level, x))))
        return torch.sigmoid(self.head(x))


class ResUNet3d(UNet3d):
    """configs/networks/resunet3d.yaml: the same with residual blocks, and upsampling followed by a convolution.

    Deeper still: after a few steps, rounding on the other side of a kink drives two runs apart, so that values are compared after two."""

    values_after = 2

    def __init__(self, full=None):
        nn.Module.__init__(self)
        if full:
            self.zyx, self.widths = full, (16, 32, 64, 128, 256)
        w = self.widths
        for level in range(1, 6):
            self.add_block("enc%d" % level, w[level - 2] if level > 1 else 1, w[level - 1], 2 if level > 1 else 1)
        for level in range(4, 0, -1):
            self.add("up%d" % level, conv(w[level], w[level - 1], 3))
            self.add_block("dec%d" % level, 2 * w[level - 1], w[level - 1], 1)
        self.head = conv(w[0], 1, 1, bias=True)

    def add_block(self, name, i, o, stride):
        self.add(name + "a", conv(i, o, 3, stride))
        self.add(name + "b", conv(o, o, 3))
        self.add(name + "p", conv(i, o, 1, stride))

    def block(self, name, x):
        return act(self.run(name + "b", act(self.run(name + "a", x))) + self.run(name + "p", x))

    def forward(self, x):
        skips = []
        for level in range(1, 6):
            x = self.block("enc%d" % level, x)
            skips.append(x)
        for level in range(4, 0, -1):
            x = act(self.run("up%d" % level, nn.functional.interpolate(x, scale_factor=2, mode="nearest")))
            x = self.block("dec%d" % level, torch.cat([x, skips[level - 1]], 1))
        return torch.sigmoid(self.head(x))


NETWORKS = {"unet": UNet, "unet3d": UNet3d, "resunet3d": ResUNet3d}


def named(model):
    """(calvaria's name, tensor) in the order the YAML declares them, which is the order the modules were made in."""
    for layer, module in model.named_children():
        is_norm = layer.endswith("_norm")
        yield layer + (".gamma" if is_norm else ".w"), module.weight
        if module.bias is not None:
            yield layer + (".beta" if is_norm else ".b"), module.bias
        if isinstance(module, nn.BatchNorm3d):
            yield layer + ".moving_mean", module.running_mean
            yield layer + ".moving_variance", module.running_var


def dice(p, t):
    return 1 - (2 * (p * t).sum() + 1e-6) / (p.sum() + t.sum() + 1e-6)


def run(model, steps, put_array):
    put = lambda name, tensor, limit=None: put_array(name, tensor.detach().numpy(), limit)
    with torch.no_grad():
        for index, (name, tensor) in enumerate(named(model)):
            tensor.copy_(torch.tensor(golden.initial(index, name, tuple(tensor.shape))))
    shape = (model.batch, 1, *model.zyx)
    source = torch.tensor((golden.draw(1, shape) > 0.3).astype(np.float64), dtype=torch.get_default_dtype())
    target = torch.tensor((golden.draw(2, shape) > 0.2).astype(np.float64), dtype=torch.get_default_dtype())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    losses = []
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        p = model(source)
        loss = dice(p, target)
        loss.backward()
        losses.append(loss.item())
        if step == 1:
            put("dst", p, 4096)
            for name, tensor in named(model):
                if tensor.requires_grad:
                    put("grad/" + name, tensor.grad)
        optimizer.step()
        if step == min(steps, model.values_after):
            for name, tensor in named(model):
                put("value/" + name, tensor)
            with torch.no_grad():
                put("dst_test", model.eval()(source), 4096)
            model.train()
        print("step", step, "loss", loss.item(), flush=True)
    put_array("losses", np.array(losses))


def main():
    full = sys.argv[2] if sys.argv[1:2] == ["--full"] else None
    names = sys.argv[3:] if full else sys.argv[1:]
    for name in names or [n for n in NETWORKS if not full or n != "unet"]:
        print(name, flush=True)
        with golden.GoldenFile(full, name) as put:
            run(NETWORKS[name]((64, 64, 64)) if full else NETWORKS[name](), 2 if full else 10, put)


main()
