/* plot.h - pictures of numbers by gnuplot: the script is kept beside the data, the image is made through a pipe. gnuplot absent or broken
 * costs only the pictures. */
#ifndef CALVARIA_TRAIN_PLOT_H
#define CALVARIA_TRAIN_PLOT_H

#include <stdbool.h>

#include "base/error.h"

/* gnuplot is on the PATH. */
bool plot_available(void);

/* Writes FOLDER/NAME.gp and lets gnuplot run it inside FOLDER; the script names its own output, FOLDER/NAME.png. `body` holds the plot
 * commands; terminal, size, output and a common look are put in front of it. STATUS_FAILED says that there is no picture and why; the script
 * is written all the same, for `gnuplot NAME.gp`. */
enum status plot_draw(const char *folder, const char *name, const char *body, struct error *error);

#endif
