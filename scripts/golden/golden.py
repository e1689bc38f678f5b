"""What the golden scripts share: numbers that C and Python draw alike, and the dropout mask of nn/layers/dropout.c.

Arrays are in calvaria's order: tensors N, C, Z, Y, X; convolution weights O, I, Z, Y, X (transposed ones I, O, Z, Y, X).
"""
import os

import h5py
import numpy as np

NARROW = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "nn", "golden")


class GoldenFile:
    """with GoldenFile(folder or None, name) as put: put("dst", array, 4096) writes float32; with a limit, every n-th value of the flattened
    array, n as attribute `every`. Without a folder beside the tests, where files must stay small."""

    def __init__(self, folder, name):
        self.file = h5py.File(os.path.join(folder or NARROW, name + ".h5"), "w", libver="v108")

    def __enter__(self):
        return self.put

    def put(self, name, array, limit=None):
        every = max(1, array.size // limit) if limit else 1
        data = np.ascontiguousarray(array, np.float32) if every == 1 else np.ascontiguousarray(array, np.float32).ravel()[::every]
        dataset = self.file.create_dataset(name, data=data)
        if every > 1:
            dataset.attrs["every"] = np.int64(every)

    def __exit__(self, *_):
        self.file.close()



def draw(stream, shape):
    """Uniform in [-1, 1), exact in float32: splitmix64 of stream * 2^32 + element. As golden_draw in tests/nn/test_golden.c."""
    x = (np.uint64(stream) << np.uint64(32)) + np.arange(int(np.prod(shape)), dtype=np.uint64)
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return ((x >> np.uint64(40)).astype(np.float64) / 2.0**23 - 1.0).reshape(shape)


def initial(index, name, shape):
    """The index-th parameter's value (in the order the network declares them), by the kind of parameter."""
    u = draw(100 + index, shape)
    kind = name.split(".")[1]
    if kind == "w":
        return u * np.float64(np.float32(np.sqrt(3.0 / np.prod(shape[1:]))))  # variance 1 / fan in
    return 1 + 0.25 * u if kind in ("gamma", "moving_variance") else 0.25 * u


def philox(low, high, key):
    """Philox4x32-10 (Salmon et al., SC 2011), on Python integers; as base/rng.c."""
    c = [low & 0xFFFFFFFF, low >> 32, high & 0xFFFFFFFF, high >> 32]
    k = [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def child(rng, number):
    key, stream = rng
    word = philox(number, stream, key ^ 0xA0761D6478BD642F)
    return word[1] << 32 | word[0], word[3] << 32 | word[2]


def dropout_mask(seed, step, layer, shape, rate):
    """0 or 1 / (1 - rate); shape N, C, Z, Y, X."""
    base = child((seed, step), layer)
    rows, voxels = shape[0] * shape[1], int(np.prod(shape[2:]))
    mask = np.zeros((rows, voxels))
    for row in range(rows):
        key, stream = child(base, row)
        words = [w for block in range((voxels + 3) // 4) for w in philox(block, stream, key)]
        mask[row] = [(w >= int(rate * 2**32)) / (1 - rate) for w in words[:voxels]]
    return mask.reshape(shape)
