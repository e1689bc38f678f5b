/* template.h - the mean outer surface that poses are fitted to, found together with the poses of the heads it is the
 * median of. */
#ifndef CALVARIA_SHAPE_TEMPLATE_H
#define CALVARIA_SHAPE_TEMPLATE_H

#include "base/log.h"
#include "shape/pose.h"

enum { TEMPLATE_ROUNDS = 8 };

/* Alternates: T = median over the posed clouds, gaps from the nearest pixel, smoothed, made symmetric; then every
 * head's pose onto T. The geometric mean of the scales stays 1. template: disc n x n, mm. poses: in, where each head is
 * to be sought; out, its pose. losses: mean Tukey loss of each. progress, if not NULL: counts n * TEMPLATE_ROUNDS
 * steps. The same bits for any number of threads. */
struct template_heads {
    int64_t n;
    const struct cloud *clouds;
    const uint8_t *of_template; /* n: 1 where a head counts in the median; all do in the first two rounds. NULL: all */
    struct pose *poses;
    double *losses;
};
enum status template_fit(float *template, const struct disc *disc, struct template_heads *heads,
                         struct progress *progress, struct error *error);

/* Outer radius over the disc, n x n, of one posed cloud, by local averages; NaN where it has no points. */
enum status template_image(float *image, const struct disc *disc, const struct cloud *cloud, const struct pose *pose,
                           struct error *error);

#endif
