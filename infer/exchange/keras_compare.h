/* keras_compare.h - private to infer/keras*: is a network the one of a Keras file? */
#ifndef CALVARIA_INFER_EXCHANGE_KERAS_COMPARE_H
#define CALVARIA_INFER_EXCHANGE_KERAS_COMPARE_H

#include "infer/exchange/keras_config.h"
#include "nn/network/network.h"

/* Layer by layer: type, sources, and every key that the output depends on (not how weights are drawn or statistics
 * move). STATUS_FAILED names the first mismatch. */
enum status keras_compare(const struct network_config *derived, const struct network_config *given,
                          const struct keras_network *keras, const char *path, struct error *error);

#endif
