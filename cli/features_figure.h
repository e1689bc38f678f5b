/* features_figure.h - the feature study's figure: the patch, and of every layer the maps that follow bone and those
 * that fill the hole. */
#ifndef CALVARIA_CLI_FEATURES_FIGURE_H
#define CALVARIA_CLI_FEATURES_FIGURE_H

#include "infer/features.h"

struct figure_config {
    const char *folder; /* features.dat, features.gp, features.png */
    int axis;
    enum projection projection;
    int64_t maps; /* of either kind, of a layer */
};

/* Of each layer the maps with the largest |r_bone|, then those with the largest |r_missing|. STATUS_FAILED: no picture,
 * and why. */
enum status figure_draw(const struct figure_config *config, const struct features *features, struct error *error);

#endif
