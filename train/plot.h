/* plot.h - plots of numbers by gnuplot: the script is kept in the folder of the data, the images are made through a
 * pipe, in the look of plot_style.h. gnuplot absent or broken costs only the images.
 *
 *     plot_draw(&(struct plot){.folder = "run/plots", .name = "loss", .body = "plot ...", .vectors = true}, &error);
 *         // loss.gp, loss.png, loss.svg, loss.pdf */
#ifndef CALVARIA_TRAIN_PLOT_H
#define CALVARIA_TRAIN_PLOT_H

#include <stdbool.h>

#include "base/error.h"

/* gnuplot is on the PATH. */
bool plot_available(void);

struct plot {
    const char *folder, *name;
    const char *body;  /* the plot commands; style, terminal and output are put in front of it */
    int width, height; /* pixels; 0: 1000 x 600 */
    bool vectors;      /* SVG and PDF, too */
};

/* Writes FOLDER/NAME.gp and lets gnuplot run it inside FOLDER. An image gets its name when it is whole.
 * STATUS_FAILED: there is no image, the message gives the reason; the script is written all the same. */
enum status plot_draw(const struct plot *plot, struct error *error);

/* A window that shows what is drawn into it, by a gnuplot that lives as long. `folder`: of the bodies' data files.
 * STATUS_FAILED without a display, without gnuplot, or with one that was built without windows. */
struct plot_window;
enum status plot_window_open(struct plot_window **ret, const char *folder, const char *title, struct error *error);
/* Draws anew, one body above the other. False when the window was closed. */
bool plot_window_draw(struct plot_window *window, int n_bodies, const char *const *bodies);
void plot_window_close(struct plot_window *window); /* what was drawn last stays on the screen */

#endif
