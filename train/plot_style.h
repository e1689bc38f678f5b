/* plot_style.h - the one look of every plot: fonts, line types, colours. */
#ifndef CALVARIA_TRAIN_PLOT_STYLE_H
#define CALVARIA_TRAIN_PLOT_STYLE_H

/* gnuplot commands for `reset`, then: tables of tabs, key above the plot, grid, and the line types
 *   1 blue  2 vermilion  3 green  4 purple  5 orange  6 sky blue  7 black  8 pale blue (raw values behind a mean)
 * so that a plot names a line type and never a colour. */
extern const char plot_style[];

/* Sets terminal and output by the variables `format` (png, svg, pdf), `output` (name without suffix), `width` and
 * `height` (pixels). png is the default; pdf ends gnuplot where it was built without cairo. */
extern const char plot_terminal[];

#endif
