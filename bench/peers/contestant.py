"""What the peers share: the network file, and one pass per line of input."""
import argparse
import os
import sys
import time


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("network", help="NETWORK.yaml, or FILE.onnx")
    parser.add_argument("--size", type=int, required=True, help="edge of the patch")
    parser.add_argument("--mode", choices=("forward", "step"), required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--variant", default="default")
    return parser.parse_args()


class Layer:
    """One layer of the file: `sources` holds the numbers of the layers it reads (-1: the network's input)."""

    def __init__(self, entry, number, names):
        self.entry, self.type, self.name = entry, entry["type"], entry.get("name")
        sources = entry.get("from", [])
        sources = [sources] if isinstance(sources, str) else sources
        self.sources = [names[s] for s in sources] or [number - 1]

    def get(self, key, default):
        return self.entry.get(key, default)

    def kernel(self):
        """(kernel, stride, voxels of padding on each side); odd kernels, or kernel = stride, as the shipped networks have them."""
        kernel, stride = self.get("kernel", 3), self.get("stride", 1)
        if self.type == "conv" and kernel % 2 == 0 or self.get("padding", "same") == "valid":
            sys.exit("%s: no peer for an even kernel or no padding" % self.name)
        return kernel, stride, kernel // 2 if self.type == "conv" else (kernel - stride) // 2


def layers(path):
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    names, made = {"input": -1}, []
    for number, entry in enumerate(yaml.load(open(path), Loader)["network"]["layers"]):
        made.append(Layer(entry, number, names))
        names[made[-1].name] = number
    return made


def serve(what, run):
    """A first pass, "ready WHAT", then for every line read one pass and "WALL_S PROCESSOR_S"."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what frameworks print is not an answer
    run()
    print("ready", what, file=answers, flush=True)
    for _ in sys.stdin:
        wall, processor = time.perf_counter(), time.process_time()
        run()
        print("%.6f %.6f" % (time.perf_counter() - wall, time.process_time() - processor), file=answers, flush=True)
