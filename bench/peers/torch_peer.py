"""A network of ours in PyTorch: variants default, channels_last, traced, traced_channels_last, compiled.

Kept to what is fastest there: 'same' convolutions of stride 2 pad both sides alike (no padding pass of their own; the arithmetic is the same)."""
import torch
from torch import nn

import contestant


def module(layer, c):
    """(module, its output channels); c: input channels."""
    get, kind = layer.get, layer.type
    if kind in ("conv", "conv_transpose"):
        kernel, stride, pad = layer.kernel()
        make = nn.Conv3d if kind == "conv" else nn.ConvTranspose3d
        return make(c, get("filters", 0), kernel, stride, pad, bias=get("bias", True)), get("filters", 0)
    makers = {
        "instance_norm": lambda: nn.InstanceNorm3d(c, eps=get("eps", 1e-5), affine=True),
        "batch_norm": lambda: nn.BatchNorm3d(c, eps=get("eps", 1e-3), momentum=1 - get("momentum", 0.99)),
        "leaky_relu": lambda: nn.LeakyReLU(get("slope", 0.2), inplace=True),
        "relu": lambda: nn.ReLU(inplace=True),
        "dropout": lambda: nn.Dropout(get("rate", 0.5)),
        "upsample": lambda: nn.Upsample(scale_factor=get("factor", 2), mode=get("mode", "nearest")),
        "tanh": nn.Tanh, "sigmoid": nn.Sigmoid,
    }
    return makers[kind](), c


class Network(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.sources, self.items, channels = [], nn.ModuleList(), [1]
        for layer in layers:
            ins = [channels[s + 1] for s in layer.sources]
            made, out = (nn.Identity(), sum(ins)) if layer.type == "concat" else module(layer, ins[0])
            self.items.append(made)
            self.sources.append(layer.sources)
            channels.append(out)
        used = [s for sources in self.sources for s in sources]
        self.last = {s: max(i for i, sources in enumerate(self.sources) if s in sources) for s in used}

    def forward(self, x):
        values = {-1: x}
        for i, (item, sources) in enumerate(zip(self.items, self.sources)):
            ins = [values[s] for s in sources]
            values[i] = torch.cat(ins, 1) if len(ins) > 1 else item(ins[0])
            for s in set(sources):  # frees what nothing reads any more
                if self.last[s] == i:
                    del values[s]
            ins = None
        return values[i]


def main():
    options = contestant.options()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    network = Network(contestant.layers(options.network))
    source = torch.rand(1, 1, options.size, options.size, options.size)
    if "channels_last" in options.variant:
        network = network.to(memory_format=torch.channels_last_3d)
        source = source.to(memory_format=torch.channels_last_3d)
    training = options.mode == "step"
    network.train(training)
    n = sum(p.numel() for p in network.parameters())
    run = network
    if options.variant == "compiled":
        run = torch.compile(network)
    elif options.variant.startswith("traced"):
        with torch.inference_mode():
            run = torch.jit.optimize_for_inference(torch.jit.trace(network, source))

    def forward():
        with torch.inference_mode():
            run(source)

    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)

    def step():
        optimizer.zero_grad(set_to_none=True)
        nn.functional.mse_loss(run(source), target).backward()
        optimizer.step()

    target = torch.full((1, 1) + (options.size,) * 3, 0.5)
    contestant.serve("PyTorch %s, %d parameters" % (torch.__version__, n), step if training else forward)


main()
