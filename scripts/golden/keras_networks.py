#!/usr/bin/env python3
"""Golden values of the published networks, from Keras in float64.

    python scripts/golden/keras_networks.py [NAME...]                 narrow widths: writes tests/nn/golden/NAME.h5
    python scripts/golden/keras_networks.py --full FOLDER [NAME...]   the widths of configs/networks: writes FOLDER/NAME.h5 (hundreds of MB)
    GOLDEN_FLOAT=float32 ...                                          the same in float32, to see what rounding alone does (compare.py)

NAME: mia_ae, mia_ae_patch, mia_discriminator, n1 (default: all). Needs tensorflow, keras 3 and h5py; tests/nn/test_golden.c reads the files.
The networks are written as their authors write them: channels last, axes X, Y, Z. A file holds output and loss of step 1, every gradient
of step 1, the losses of all steps, all parameters and the test output after the last step (n1: after two, see there); large outputs as
every n-th value (attribute `every`).
"""
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import h5py
import keras
import numpy as np
import tensorflow as tf

sys.path.insert(0, os.path.dirname(__file__))
import golden

keras.backend.set_floatx(os.environ.get("GOLDEN_FLOAT", "float64"))
L = keras.layers
SEED = 1


class MiaAe:
    """The auto-encoder; its dropout is a mask from outside, the very one that calvaria draws."""

    batch, dropout_layer, moving, test_training, values_after = 1, 11, "biased", False, 10
    xyz, widths = (16, 32, 16), (2, 3, 9, 9, 2, 3, 2)

    def __init__(self, full=None):
        if full:
            self.xyz, self.widths, self.moving = full, (32, 64, 128, 512, 256, 128, 64), "keras2"

    def build(self):
        w = self.widths
        mask = keras.Input((*[n // 16 for n in self.xyz], w[3]), name="mask")
        x = source = keras.Input((*self.xyz, 1))
        norm = lambda n: L.BatchNormalization(momentum=0.8, epsilon=1e-3, name="bn%d" % n)
        for n in (1, 2, 3):
            x = L.Conv3D(w[n - 1], 5, strides=2, padding="same", name="conv%d" % n)(x)
            x = norm(n)(L.LeakyReLU(negative_slope=0.2)(x))
        x = L.LeakyReLU(negative_slope=0.2)(L.Conv3D(w[3], 1, strides=2, padding="same", name="conv4")(x))
        x = L.Multiply()([x, mask])  # Dropout(0.5)
        x = L.Conv3DTranspose(w[4], 5, padding="same", name="deconv5")(L.UpSampling3D()(x))
        x = norm(5)(L.ReLU()(x))
        x = L.Conv3DTranspose(w[5], 5, padding="same", name="deconv6")(x)
        x = norm(6)(L.ReLU()(x))
        x = L.Conv3DTranspose(w[6], 5, padding="same", name="deconv7")(L.UpSampling3D()(x))
        x = norm(7)(L.ReLU()(x))
        x = L.Conv3DTranspose(1, 5, padding="same", name="deconv8")(L.UpSampling3D()(x))
        x = norm(8)(L.Activation("tanh")(x))
        x = L.Conv3DTranspose(1, 5, padding="same", name="deconv9")(L.UpSampling3D()(x))
        return keras.Model([source, mask], L.Activation("tanh")(x))

    def inputs(self, source, step):
        x, y, z = [n // 16 for n in self.xyz]
        shape = (self.batch, self.widths[3], z, y, x)
        mask = golden.dropout_mask(SEED, step, self.dropout_layer, shape, 0.5) if step else np.ones(shape)
        return [source, ours_tensor(mask).astype(keras.backend.floatx())]

    def loss(self, p, t):
        return tf.reduce_mean(tf.square(p - t))

    adam = staticmethod(lambda: keras.optimizers.Adam(2e-4, 0.5))


class Discriminator:
    batch, moving, test_training, values_after = 2, "keras2", False, 10
    xyz, widths = (8, 16, 12), (3, 9, 8)

    def __init__(self, full=None):
        if full:
            self.xyz, self.widths = full, (64, 128, 256)

    def build(self):
        x = source = keras.Input((*self.xyz, 1))
        for n, (filters, strides) in enumerate(zip(self.widths, (2, 2, 1)), 1):
            x = L.Conv3D(filters, 3, strides=strides, padding="same", name="conv%d" % n)(x)
            x = L.BatchNormalization(momentum=0.8, epsilon=1e-3, name="bn%d" % n)(L.LeakyReLU(negative_slope=0.2)(x))
        return keras.Model([source], L.Dense(1, activation="sigmoid", name="real")(L.Flatten()(x)))

    def inputs(self, source, step):
        return [source]

    def loss(self, p, t):
        t, p = tf.reshape(t, p.shape), tf.clip_by_value(p, 1e-7, 1 - 1e-7)
        return -tf.reduce_mean(t * tf.math.log(p) + (1 - t) * tf.math.log(1 - p))

    adam = staticmethod(lambda: keras.optimizers.Adam(2e-4, 0.5))


class N1:
    """Batch statistics even at test: it always runs as in training.

    A ReLU follows each norm, and at narrow widths the deep norms see few voxels: within a few steps rounding puts an activation on the other
    side of the kink, and gradients jump by a percent. So values are compared after two steps, and the loss over all ten."""

    batch, moving, test_training, values_after = 2, "biased", True, 2
    xyz, down, up = (32, 32, 16), (2, 3, 4, 9, 4, 3), ((3, 2), (2, 2), (2, 2), (2, 2))

    def __init__(self, full=None):
        if full:
            self.xyz, self.batch = full, 1
            self.down, self.up = (64, 128, 256, 512, 512, 256), ((256, 128), (128, 64), (64, 64), (32, 32))

    def build(self):
        x = source = keras.Input((*self.xyz, 1))

        def block(x, layer):
            return L.ReLU()(L.BatchNormalization(momentum=0.9, epsilon=1e-5, name="bn_" + layer.name)(layer(x)))

        conv = lambda filters, n, strides=1: L.Conv3D(filters, 5, strides=strides, padding="same", name="conv%d" % n)
        for n, filters in enumerate(self.down, 1):
            x = block(x, conv(filters, n, 2 if n < 5 else 1))
        for n, (wide, narrow) in enumerate(self.up, 1):
            x = block(x, L.Conv3DTranspose(wide, 4, strides=2, padding="same", use_bias=False, name="up%d" % n))
            x = block(x, conv(narrow, 6 + n))
        x = block(x, conv(2, 11))
        for n in (12, 13, 14):
            x = conv(2, n)(x)
        return keras.Model([source], L.Softmax()(x))

    def inputs(self, source, step):
        return [source]

    def loss(self, p, t):
        """The authors' dice_loss_fun, times their factor."""
        one_hot, dice = tf.concat([1 - t, t], -1), 0
        for i in range(2):
            overlap = tf.reduce_mean(p[..., i] * one_hot[..., i])
            dice += 2 * overlap / (tf.reduce_sum(p[..., i] ** 2) + tf.reduce_sum(one_hot[..., i] ** 2))
        return -2e8 * dice

    # Beside gradients of 1e3 (the factor above) an epsilon of 1 keeps Adam from making whole steps out of the rounding of gradients that
    # are zero: those of biases in front of a norm.
    adam = staticmethod(lambda: keras.optimizers.Adam(1e-4, 0.3, epsilon=1.0))


# The volumes of `--full` are the published ones, but where float64 would take too long: mia_ae_patch and n1 at half of each edge.
NETWORKS = {"mia_ae": (MiaAe, (128, 128, 64)), "mia_ae_patch": (MiaAe, (64, 64, 64)),
            "mia_discriminator": (Discriminator, (128, 128, 64)), "n1": (N1, (64, 64, 32))}
KINDS = {"kernel": "w", "bias": "b", "gamma": "gamma", "beta": "beta", "moving_mean": "moving_mean", "moving_variance": "moving_variance"}


def ours_tensor(array):
    """N,X,Y,Z,C to N,C,Z,Y,X, and back."""
    return array.transpose(0, 4, 3, 2, 1)


class Named:
    """(calvaria's name, Keras variable) in the order calvaria declares them, and the ways between the layouts: X,Y,Z,I,O (or X,Y,Z,O,I) to
    O,I,Z,Y,X reverses all axes; a dense kernel reads Keras' flattened X,Y,Z,C."""

    def __init__(self, model):
        self.entries = [(layer.name + "." + KINDS[v.name], v) for layer in model.layers for v in layer.weights]
        flat = [layer.input.shape[1:] for layer in model.layers if isinstance(layer, L.Flatten)]
        self.grid = flat[0] if flat else None

    def ours(self, array):
        if array.ndim == 2:
            array = array.reshape(*self.grid, array.shape[1])
            return array.transpose(4, 3, 2, 1, 0).reshape(array.shape[-1], -1)
        return array.transpose()

    def keras(self, array, shape):
        if len(shape) == 2:
            x, y, z, c = self.grid
            return array.reshape(shape[1], c, z, y, x).transpose(4, 3, 2, 1, 0).reshape(shape)
        return array.transpose()


def initialise(named):
    for index, (name, variable) in enumerate(named.entries):
        shape = named.ours(np.empty(variable.shape)).shape
        variable.assign(named.keras(golden.initial(index, name, shape), variable.shape))


def keras2_variance(model, before, sizes):
    """Keras 2 let var * n / (n - 1 - eps) into the moving average, Keras 3 lets var: correct what the last step added."""
    for layer in model.layers:
        if isinstance(layer, L.BatchNormalization):
            n, old, momentum = sizes[layer.name], before[layer.name], layer.momentum
            added = layer.moving_variance.numpy() - momentum * old
            layer.moving_variance.assign(momentum * old + added * n / (n - 1 - layer.epsilon))


def run(network, steps, put):
    model = network.build()
    named = Named(model)
    initialise(named)
    bits = lambda stream, above, shape: (golden.draw(stream, shape) > above).astype(keras.backend.floatx())
    zyx = network.xyz[::-1]
    source = ours_tensor(bits(1, 0.3, (network.batch, 1, *zyx)))
    grid = zyx if len(model.output.shape) == 5 else (1, 1, 1)
    target = ours_tensor(bits(2, 0.2, (network.batch, 1, *grid)))
    output = lambda p: ours_tensor(p.numpy()) if len(p.shape) == 5 else p.numpy()
    norms = [layer for layer in model.layers if isinstance(layer, L.BatchNormalization)]
    sizes = {layer.name: network.batch * int(np.prod(layer.input.shape[1:4])) for layer in norms}
    adam = network.adam()
    losses = []
    for step in range(1, steps + 1):
        before = {layer.name: layer.moving_variance.numpy() for layer in norms}
        with tf.GradientTape() as tape:
            p = model(network.inputs(source, step), training=True)
            loss = network.loss(p, target)
        gradients = tape.gradient(loss, model.trainable_variables)
        if network.moving == "keras2":
            keras2_variance(model, before, sizes)
        losses.append(loss.numpy())
        if step == 1:
            put("dst", output(p), 4096)
            names = {id(v): name for name, v in named.entries}
            for variable, gradient in zip(model.trainable_variables, gradients):
                put("grad/" + names[id(variable)], named.ours(gradient.numpy()))
        adam.apply_gradients(zip(gradients, model.trainable_variables))
        if step == min(steps, network.values_after):
            for name, variable in named.entries:
                put("value/" + name, named.ours(variable.numpy()))
            put("dst_test", output(model(network.inputs(source, 0), training=network.test_training)), 4096)
        print("step", step, "loss", float(loss), flush=True)
    put("losses", np.array(losses))
    print(model.count_params(), "parameters", flush=True)


def main():
    full = sys.argv[2] if sys.argv[1:2] == ["--full"] else None
    names = sys.argv[3:] if full else sys.argv[1:]
    for name in names or [n for n in NETWORKS if full or n != "mia_ae_patch"]:
        network, size = NETWORKS[name]
        print(name, flush=True)
        with golden.GoldenFile(full, name) as put:
            run(network(size if full else None), 2 if full else 10, put)


main()
