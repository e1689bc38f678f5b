#!/usr/bin/env python3
"""Files as Keras writes them, with random weights, and Keras' answers: for tests/infer/test_keras.c.

    python scripts/golden/keras_files.py                writes tests/infer/keras/*.h5, skull.nrrd and answers.h5
    python scripts/golden/keras_files.py --full BUILD [EDGE 64] [mia_ae|n1 ...]
                                                        published networks at their full widths on a patch EDGE^3 (of a real skull where there is
                                                        one), through BUILD's programs: how far our answer and Keras' own float32 lie from
                                                        Keras' in float64. Exit 1 when ours lies farther than 1e-4 and farther than Keras'

Needs tensorflow, tf_keras (Keras 2), keras 3, h5py and pynrrd. Networks are built as their authors build them (Li et al., code
Jianningli/MIA), narrow; inputs are fed as they feed them: the array X,Y,Z that pynrrd reads. answers.h5 holds per network the answer X,Y,Z,C (or the
units of a dense layer). Files named old_* are written here with h5py in the layout of Keras before 2.2.3.
"""
import json
import os
import subprocess
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import h5py
import keras as keras3
import nrrd
import numpy as np
import tf_keras

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "infer", "keras")
XYZ = (32, 16, 16)


def mia_ae(K, widths=(2, 3, 2, 9, 2, 3, 2), xyz=XYZ):
    """Encoder and decoder of EncoderDecoder_patch.py, as a Sequential inside a Model."""
    L = K.layers
    down, code, up = widths[:3], widths[3], widths[4:]
    model = K.Sequential()
    for i, filters in enumerate(down):
        model.add(L.Conv3D(filters, kernel_size=5, strides=2, padding="same", **({"input_shape": (*xyz, 1)} if i == 0 else {})))
        model.add(L.LeakyReLU(0.2))
        model.add(L.BatchNormalization(momentum=0.8))
    model.add(L.Conv3D(code, kernel_size=1, strides=2, padding="same"))
    model.add(L.LeakyReLU(0.2))
    model.add(L.Dropout(0.5))
    model.add(L.UpSampling3D())
    for filters, again in zip(up, (False, True, True)):
        model.add(L.Conv3DTranspose(filters, kernel_size=5, padding="same"))
        model.add(L.Activation("relu"))
        model.add(L.BatchNormalization(momentum=0.8))
        if again:
            model.add(L.UpSampling3D())
    model.add(L.Conv3DTranspose(1, kernel_size=5, padding="same"))
    model.add(L.Activation("tanh"))
    model.add(L.BatchNormalization(momentum=0.8))
    model.add(L.UpSampling3D())
    model.add(L.Conv3DTranspose(1, kernel_size=5, padding="same"))
    model.add(L.Activation("tanh"))
    source = K.Input((*xyz, 1))
    return K.Model(source, model(source)), model


def discriminator(K):
    L = K.layers
    model = K.Sequential()
    for i, (filters, stride) in enumerate(((2, 2), (3, 2), (2, 1))):
        model.add(L.Conv3D(filters, kernel_size=3, strides=stride, padding="same", **({"input_shape": (*XYZ, 1)} if i == 0 else {})))
        model.add(L.LeakyReLU(0.2))
        model.add(L.BatchNormalization(momentum=0.8))
    model.add(L.Flatten())
    model.add(L.Dense(1, activation="sigmoid"))
    source = K.Input((*XYZ, 1))
    return K.Model(source, model(source)), model


def n1_like(K):
    """Strided convolutions down, transposed k4 s2 without bias up, BN before ReLU, softmax: a Functional model."""
    L = K.layers
    block = lambda x: L.ReLU()(L.BatchNormalization(momentum=0.9, epsilon=1e-5)(x))
    x = source = K.Input((*XYZ, 1))
    x = block(L.Conv3D(3, 5, strides=2, padding="same")(x))
    x = block(L.Conv3D(4, 5, strides=2, padding="same")(x))
    x = block(L.Conv3DTranspose(3, 4, strides=2, padding="same", use_bias=False)(x))
    x = block(L.Conv3DTranspose(2, 4, strides=2, padding="same", use_bias=False)(x))
    return K.Model(source, L.Softmax()(L.Conv3D(2, 5, padding="same")(x)))


def joints(K):
    """Skips, sums, pools, norms without scale, activations inside layers, kernels that differ by axis."""
    L = K.layers
    source = K.Input((*XYZ, 1))
    a = L.Conv3D(3, (3, 2, 5), padding="same", activation="relu", name="first")(source)
    b = L.MaxPooling3D(2)(a)
    c = L.BatchNormalization(scale=False, name="no_scale")(L.Conv3D(4, 3, padding="same", use_bias=False)(b))
    d = L.Add()([L.Activation("tanh")(c), L.LeakyReLU(0.3)(c)])
    e = L.Concatenate()([L.Conv3DTranspose(2, (2, 4, 3), strides=2, padding="same")(d), a])
    f = L.AveragePooling3D((1, 2, 1), strides=(1, 2, 1))(L.UpSampling3D(2)(L.Conv3D(2, (3, 4, 2), strides=(2, 1, 2), padding="same")(e)))
    return K.Model(source, L.Conv3D(1, 3, strides=(1, 1, 1), padding="valid", activation="sigmoid")(f))


def dense_tail(K):
    """What follows a flatten keeps Keras' order of its values, norms included."""
    L = K.layers
    source = K.Input((*XYZ, 1))
    x = L.Flatten()(L.Conv3D(2, 5, strides=4, padding="same")(source))
    x = L.Dense(5, activation="tanh")(L.Dropout(0.2)(L.BatchNormalization()(x)))
    return K.Model(source, L.Dense(3, activation="softmax", use_bias=False)(x))


def randomise(model, seed, gain=1.5):
    """Kernels of variance gain^2 / fan in; every norm and bias away from the identity."""
    rng = np.random.default_rng(seed)
    weights = []
    for w in model.get_weights():
        fan = np.prod(w.shape[:-1]) if w.ndim > 1 else 1
        weights.append(rng.uniform(0.5, 1.5, w.shape) if w.ndim == 1 else rng.normal(0, gain / np.sqrt(fan), w.shape))
    model.set_weights(weights)


def skull():
    path = os.path.join(HERE, "skull.nrrd")
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in XYZ], indexing="ij")
    r = np.sqrt(x**2 + (y - 0.1) ** 2 + (z + 0.2) ** 2)
    volume = ((r < 0.95) & (r > 0.6) & ~((x > 0.3) & (z > 0.1))).astype(np.uint8)
    header = {"space": "left-posterior-superior", "space directions": np.eye(3), "space origin": np.zeros(3), "encoding": "gzip"}
    nrrd.write(path, volume, header)
    return nrrd.read(path)[0][None, ..., None].astype(np.float32)


def old_layout(path, sequential, first):
    """Keras 2.1's file of a Sequential: a list for a config, fixed-length null-padded names, float64 for no names; numbers from `first`."""
    names, config = {}, []
    counters = {}
    for layer in sequential.layers:
        kind = layer.__class__.__name__.lower()
        base = {"leakyrelu": "leaky_re_lu", "upsampling3d": "up_sampling3d", "batchnormalization": "batch_normalization",
                "conv3dtranspose": "conv3d_transpose"}.get(kind, kind)
        counters[base] = counters.get(base, first - 1) + 1
        names[layer.name] = "%s_%d" % (base, counters[base])
        settings = {k: v for k, v in layer.get_config().items() if k not in ("dtype", "groups", "kernel_initializer", "bias_initializer")}
        settings["name"] = names[layer.name]
        if not config:
            settings["batch_input_shape"] = [None, *XYZ, 1]
        if "alpha" in settings:
            settings["alpha"] = float(settings["alpha"])
        config.append({"class_name": layer.__class__.__name__, "config": settings})
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = np.bytes_("2.1.6")
        file.attrs["model_config"] = np.bytes_(json.dumps({"class_name": "Sequential", "config": config}))
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = np.array([n.encode() for n in names.values()])
        for layer in sequential.layers:
            group = root.create_group(names[layer.name])
            weights = ["%s/%s" % (names[layer.name], w.name.split("/")[-1]) for w in layer.weights]
            group.attrs["weight_names"] = np.array([w.encode() for w in weights]) if weights else np.zeros(0)
            for name, value in zip(weights, layer.get_weights()):
                group.create_dataset(name, data=value)


def weights_alone(path, source):
    """The weights of a file of `save`, as save_weights would write them."""
    with h5py.File(source) as whole, h5py.File(path, "w") as file:
        for name in whole["model_weights"]:
            whole.copy("model_weights/" + name, file)
        for key, value in whole["model_weights"].attrs.items():
            file.attrs[key] = value


def files():
    source, answers = skull(), h5py.File(os.path.join(HERE, "answers.h5"), "w")
    path = lambda name: os.path.join(HERE, name)

    def answer(name, model):
        """One for both: Keras 2 and Keras 3 must agree on the same weights."""
        got = np.asarray(model(source, training=False))[0].astype(np.float32)
        if name in answers:
            assert np.abs(answers[name][()] - got).max() < 1e-5, name
        else:
            answers.create_dataset(name, data=got)

    for tag, K in (("k2", tf_keras), ("k3", keras3)):
        whole, sequential = mia_ae(K)
        randomise(whole, 1)
        answer("ae", whole)
        whole.save(path(tag + "_ae_nested.h5"))
        if tag == "k2":
            sequential.save(path("k2_ae_plain.h5"))
            whole.save_weights(path("k2_ae_nested_alone.h5"))
            old_layout(path("old_ae.h5"), sequential, 8)
            weights_alone(path("old_ae_alone.h5"), path("old_ae.h5"))
        else:
            whole.save_weights(path("k3_ae.weights.h5"))
        for build, name in ((lambda k: discriminator(k)[0], "discriminator"), (n1_like, "n1"), (joints, "joints"), (dense_tail, "tail")):
            model = build(K)
            randomise(model, 4)
            answer(name, model)
            model.save(path("%s_%s.h5" % (tag, name)))
    answers.close()


def n1(K, xyz):
    """n1 at its full width: 82 million parameters; here with the moving statistics."""
    L = K.layers
    block = lambda x: L.ReLU()(L.BatchNormalization(momentum=0.9, epsilon=1e-5)(x))
    x = source = K.Input((*xyz, 1))
    for filters, stride in ((64, 2), (128, 2), (256, 2), (512, 2), (512, 1), (256, 1)):
        x = block(L.Conv3D(filters, 5, strides=stride, padding="same")(x))
    for up, filters in ((256, 128), (128, 64), (64, 64), (32, 32)):
        x = block(L.Conv3DTranspose(up, 4, strides=2, padding="same", use_bias=False)(x))
        x = block(L.Conv3D(filters, 5, padding="same")(x))
    x = block(L.Conv3D(2, 5, padding="same")(x))
    for _ in range(3):
        x = L.Conv3D(2, 5, padding="same")(x)
    return K.Model(source, L.Softmax()(x))


FULL = {"mia_ae": lambda K, xyz: mia_ae(K, (32, 64, 128, 512, 256, 128, 64), xyz)[0], "n1": n1}


def patch_of(edge):
    real = os.path.join(HERE, "..", "..", "..", "..", "shared", "data", "skullfix", "000_defective.nrrd")
    if not os.path.exists(real):
        return "random", (np.random.default_rng(1).random((edge,) * 3) > 0.5).astype(np.float32)
    return "real", (nrrd.read(real)[0][128 : 128 + edge, 128 : 128 + edge, -edge:] > 0).astype(np.float32)


def imported(build, keras_model, patch):
    """Our answer with the weights of a Keras model, x, y, z and channels."""
    edge = str(len(patch))
    with tempfile.TemporaryDirectory() as folder:
        keras_file, model = os.path.join(folder, "keras.h5"), os.path.join(folder, "model.h5")
        keras_model.save(keras_file)
        subprocess.run([os.path.join(build, "calvaria"), "import-keras", keras_file, "--out", model], check=True, stdout=subprocess.DEVNULL)
        out = subprocess.run([os.path.join(build, "tests/infer/model_probe"), "forward", model, "1", edge, edge, edge],
                             input=np.ascontiguousarray(patch.transpose(2, 1, 0)).tobytes(), stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(out, np.float32).reshape(-1, *patch.shape).transpose(3, 2, 1, 0)


def full(build, edge, names):
    kind, patch = patch_of(edge)
    failed = False
    for name in names:
        model = FULL[name](tf_keras, patch.shape)
        randomise(model, 1, 1.0)
        weights, source = model.get_weights(), patch[None, ..., None]
        single = model.predict(source, verbose=0)[0]
        ours = imported(build, model, patch)
        tf_keras.backend.clear_session()
        tf_keras.mixed_precision.set_global_policy("float64")
        model = FULL[name](tf_keras, patch.shape)
        model.set_weights(weights)
        exact = model.predict(source.astype(np.float64), verbose=0)[0]
        tf_keras.mixed_precision.set_global_policy("float32")
        assert exact.dtype == np.float64
        apart, error, theirs = (np.abs(a - b).max() for a, b in ((ours, single), (ours, exact), (single, exact)))
        failed |= error > max(1e-4, theirs)
        print("%s, full width, %d^3 %s patch: %d parameters, answers from %.3f to %.3f; apart %.2e; from float64: ours %.2e, Keras' float32 %.2e" %
              (name, edge, kind, model.count_params(), exact.min(), exact.max(), apart, error, theirs), flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--full"]:
        full(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 64, sys.argv[4:] or list(FULL))
    else:
        files()
