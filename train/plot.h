/* plot.h - plots of numbers by gnuplot: the script is kept in the folder of the data, the image is made through a pipe.
 * gnuplot absent or broken costs only the pictures. */
#ifndef CALVARIA_TRAIN_PLOT_H
#define CALVARIA_TRAIN_PLOT_H

#include <stdbool.h>

#include "base/error.h"

/* gnuplot is on the PATH. */
bool plot_available(void);

/* Writes FOLDER/NAME.gp and lets gnuplot run it inside FOLDER; the script names its own output, FOLDER/NAME.png. `body`
 * holds the plot commands; terminal, size, output and a common look are put in front of it. STATUS_FAILED: there is
 * no picture, the message gives the reason; the script is written all the same, for `gnuplot NAME.gp`. */
enum status plot_draw(const char *folder, const char *name, const char *body, struct error *error);

/* A window that shows what is drawn into it, by a gnuplot that lives as long. `folder`: of the bodies' data files.
 * STATUS_FAILED without a display, without gnuplot, or with one that was built without windows. */
struct plot_window;
enum status plot_window_open(struct plot_window **ret, const char *folder, const char *title, struct error *error);
/* Draws anew, one body above the other. False when the window was closed. */
bool plot_window_draw(struct plot_window *window, int n_bodies, const char *const *bodies);
void plot_window_close(struct plot_window *window); /* what was drawn last stays on the screen */

#endif
