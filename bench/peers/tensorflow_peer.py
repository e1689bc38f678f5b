"""A network of ours in Keras on TensorFlow, channels last as its CPU kernels want it: variants default (tf.function) and xla."""
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import tensorflow as tf

import contestant

L = keras.layers


def conv(layer, x):
    kernel, stride, pad = layer.kernel()
    make = L.Conv3D if layer.type == "conv" else L.Conv3DTranspose
    if layer.get("padding", "same") == "symmetric" and stride > 1 and pad:
        return make(layer.get("filters", 0), kernel, strides=stride, use_bias=layer.get("bias", True))(L.ZeroPadding3D(pad)(x))
    return make(layer.get("filters", 0), kernel, strides=stride, padding="same", use_bias=layer.get("bias", True))(x)


def apply(layer, ins):
    get, x = layer.get, ins[0]
    makers = {
        "conv": lambda: conv(layer, x), "conv_transpose": lambda: conv(layer, x),
        "concat": lambda: L.Concatenate()(ins),
        "instance_norm": lambda: L.GroupNormalization(groups=-1, epsilon=get("eps", 1e-5))(x),
        "batch_norm": lambda: L.BatchNormalization(momentum=get("momentum", 0.99), epsilon=get("eps", 1e-3))(x),
        "leaky_relu": lambda: L.LeakyReLU(negative_slope=get("slope", 0.2))(x),
        "relu": lambda: L.ReLU()(x),
        "dropout": lambda: L.Dropout(get("rate", 0.5))(x),
        "upsample": lambda: L.UpSampling3D(get("factor", 2))(x),
        "tanh": lambda: L.Activation("tanh")(x), "sigmoid": lambda: L.Activation("sigmoid")(x),
    }
    return makers[layer.type]()


def main():
    options = contestant.options()
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    shape = (options.size,) * 3 + (1,)
    values = {-1: keras.Input(shape)}
    for i, layer in enumerate(contestant.layers(options.network)):
        values[i] = apply(layer, [values[s] for s in layer.sources])
    model = keras.Model(values[-1], values[i])
    source, target = tf.random.uniform((1, *shape)), tf.fill((1, *shape), 0.5)
    optimizer = keras.optimizers.Adam(1e-4)
    optimizer.build(model.trainable_variables)

    @tf.function(jit_compile=options.variant == "xla")
    def forward():
        return model(source, training=False)

    @tf.function(jit_compile=options.variant == "xla")
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(source, training=True) - target) ** 2)
        optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
        return loss

    run = step if options.mode == "step" else forward
    n = sum(int(tf.size(v)) for v in model.trainable_variables)
    contestant.serve("TensorFlow %s, %d parameters" % (tf.__version__, n), lambda: run().numpy())


main()
