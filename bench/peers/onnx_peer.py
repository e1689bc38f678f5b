"""Inference of a network exported by `calvaria export --onnx`: variants onnxruntime and openvino."""
import sys

import numpy as np

import contestant


def onnxruntime(options, source):
    import onnxruntime as ort
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = ort.InferenceSession(options.network, settings, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return "ONNX Runtime " + ort.__version__, lambda: session.run(None, {name: source})


def openvino(options, source):
    import openvino as ov
    settings = {"INFERENCE_NUM_THREADS": options.threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    request = ov.Core().compile_model(options.network, "CPU", settings).create_infer_request()
    return "OpenVINO " + ov.__version__.split("-")[0], lambda: request.infer([source])


options = contestant.options()
if options.mode != "forward":
    sys.exit("inference only")
source = np.random.default_rng(1).random((1, 1) + (options.size,) * 3, np.float32)
contestant.serve(*{"onnxruntime": onnxruntime, "openvino": openvino}[options.variant](options, source))
