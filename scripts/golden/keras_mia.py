#!/usr/bin/env python3
"""Golden values of the published auto-encoder at narrow widths, from Keras in float64.

    python scripts/golden/keras_mia.py            writes tests/nn/golden/mia_ae.h5 (read by tests/nn/test_golden.c)

Needs tensorflow, keras 3 and h5py. The network is tests/nn/golden/mia_ae.yaml, written here as its authors write it: channels last, axes
X, Y, Z. The file holds the training output of step 1, every gradient of step 1, all parameters after ten Adam steps
(Keras' Adam(2e-4, 0.5)) and the test output after them.
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

keras.backend.set_floatx("float64")
HERE = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "nn", "golden")
XYZ, SEED, STEPS, DROPOUT_LAYER = (16, 32, 16), 1, 10, 11


def build():
    L = keras.layers
    mask = keras.Input((*[n // 16 for n in XYZ], 9), name="mask")
    x = source = keras.Input((*XYZ, 1))
    norm = lambda n: L.BatchNormalization(momentum=0.8, epsilon=1e-3, name="bn%d" % n)
    for n, filters in ((1, 2), (2, 3), (3, 9)):
        x = L.Conv3D(filters, 5, strides=2, padding="same", name="conv%d" % n)(x)
        x = norm(n)(L.LeakyReLU(negative_slope=0.2)(x))
    x = L.LeakyReLU(negative_slope=0.2)(L.Conv3D(9, 1, strides=2, padding="same", name="conv4")(x))
    x = L.Multiply()([x, mask])  # Dropout(0.5)
    x = L.Conv3DTranspose(2, 5, padding="same", name="deconv5")(L.UpSampling3D()(x))
    x = norm(5)(L.ReLU()(x))
    x = L.Conv3DTranspose(3, 5, padding="same", name="deconv6")(x)
    x = norm(6)(L.ReLU()(x))
    x = L.Conv3DTranspose(2, 5, padding="same", name="deconv7")(L.UpSampling3D()(x))
    x = norm(7)(L.ReLU()(x))
    x = L.Conv3DTranspose(1, 5, padding="same", name="deconv8")(L.UpSampling3D()(x))
    x = norm(8)(L.Activation("tanh")(x))
    x = L.Conv3DTranspose(1, 5, padding="same", name="deconv9")(L.UpSampling3D()(x))
    return keras.Model([source, mask], L.Activation("tanh")(x))


def named(model):
    """(calvaria's name, Keras variable) in the order calvaria declares them."""
    kinds = {"kernel": "w", "bias": "b", "gamma": "gamma", "beta": "beta", "moving_mean": "moving_mean", "moving_variance": "moving_variance"}
    return [(layer.name + "." + kinds[v.name], v) for layer in model.layers for v in layer.weights]


def ours(array):
    """X,Y,Z,I,O (or X,Y,Z,O,I) to O,I,Z,Y,X; N,X,Y,Z,C to N,C,Z,Y,X: both reverse, but for N."""
    return array if array.ndim == 1 else array.transpose()


def ours_tensor(array):
    return array.transpose(0, 4, 3, 2, 1)


def main():
    model = build()
    for index, (name, variable) in enumerate(named(model)):
        shape = ours(np.empty(variable.shape)).shape
        variable.assign(ours(golden.initial(index, name, shape)))
    zyx = XYZ[::-1]
    source = ours_tensor((golden.draw(1, (1, 1, *zyx)) > 0.3).astype(np.float64))
    target = ours_tensor((golden.draw(2, (1, 1, *zyx)) > 0.2).astype(np.float64))
    mask = lambda step: ours_tensor(golden.dropout_mask(SEED, step, DROPOUT_LAYER, (1, 9, *[n // 16 for n in zyx]), 0.5))
    adam = keras.optimizers.Adam(2e-4, 0.5)
    with h5py.File(os.path.join(HERE, "mia_ae.h5"), "w", libver="v108") as file:
        put = lambda name, array: file.create_dataset(name, data=np.ascontiguousarray(array, np.float32))
        for step in range(1, STEPS + 1):
            with tf.GradientTape() as tape:
                p = model([source, mask(step)], training=True)
                loss = tf.reduce_mean(tf.square(p - target))
            gradients = tape.gradient(loss, model.trainable_variables)
            if step == 1:
                put("dst", ours_tensor(p.numpy()))
                put("loss", np.array([loss.numpy()]))
                names = {id(v): name for name, v in named(model)}
                for variable, gradient in zip(model.trainable_variables, gradients):
                    put("grad/" + names[id(variable)], ours(gradient.numpy()))
            adam.apply_gradients(zip(gradients, model.trainable_variables))
        for name, variable in named(model):
            put("value/" + name, ours(variable.numpy()))
        put("dst_test", ours_tensor(model([source, np.ones_like(mask(1))], training=False).numpy()))
    print(model.count_params(), "parameters, loss", float(loss))


main()
