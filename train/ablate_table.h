/* ablate_table.h - private to train/ablate*.c: what a grid gave, as tables and a picture. */
#ifndef CALVARIA_TRAIN_ABLATE_TABLE_H
#define CALVARIA_TRAIN_ABLATE_TABLE_H

#include "train/ablate_measure.h"

/* measured: n_points x n_seeds, a point's seeds side by side. */
void ablate_summarise(struct ablate_result *result, const struct ablate_config *config,
                      const struct ablate_measured *measured);
/* runs.tsv, table.tsv, differences.tsv and table.md into OUT. */
enum status ablate_write_tables(const struct ablate_result *result, const struct ablate_config *config,
                                const struct ablate_measured *measured, const char *out, struct error *error);
/* metrics.gp and metrics.png; a picture that cannot be made is only logged. */
void ablate_plot(const struct ablate_config *config, const char *out);

#endif
