/* onnx.h - a model as an ONNX file, for runtimes other than ours: the network with its weights, and as metadata the
 * whole pre- and postprocessing. See docs/deployment.md.
 *
 *     struct model model;
 *     model_read(&model, "model.h5", false, &error);
 *     onnx_write("model.onnx", &model, &(struct onnx_options){0}, &error);
 *
 * One input "input" (N, C, z, y, x), one output "output", float32, 5 axes each (a dense layer gives N, units, 1, 1,
 * 1). N is symbolic, and so are z, y, x where no layer fixes the size and none was given. Operators are those of
 * opset ONNX_OPSET. */
#ifndef CALVARIA_INFER_EXCHANGE_ONNX_H
#define CALVARIA_INFER_EXCHANGE_ONNX_H

#include "nn/model/model_file.h"

enum { ONNX_OPSET = 17, ONNX_IR = 8 };

struct onnx_options {
    int64_t patch_vox[3]; /* x, y, z: the size of the input; 0: left open where the network allows, else the network's
                             own */
};

/* STATUS_USAGE: the size does not fit the network. STATUS_FAILED: the file cannot be written, or would be larger than
 * the 2 GB that an ONNX file can be. The file is whole or absent. */
enum status onnx_write(const char *path, const struct model *model, const struct onnx_options *options,
                       struct error *error);

#endif
