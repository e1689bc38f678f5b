/* diagnose.h - after a step that was not finite: where it began. Slow, and run once. */
#ifndef CALVARIA_TRAIN_DIAGNOSE_H
#define CALVARIA_TRAIN_DIAGNOSE_H

#include "train/training.h"

/* The loss is NaN or infinite: names the batch, the parameter or the first layer, in the order of the network, that is not finite. */
enum status diagnose_loss(struct training *training, const struct pass *pass, double loss, struct error *error);
/* A gradient is: names the first parameter, in the order of the backward pass. */
enum status diagnose_gradient(const struct training *training, struct error *error);

#endif
