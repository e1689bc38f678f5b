/* plot_style.c - the look of every plot; see plot_style.h.
 * Colours of Okabe and Ito, "Color universal design" (2008): told apart with every common kind of colour blindness.
 * Test: tests/train/test_history.c */
#include "train/plot_style.h"

const char plot_style[] = "reset\n"
                          "set datafile separator tab\n"
                          "set datafile missing ''\n"
                          "set key autotitle columnheader noenhanced outside top center horizontal\n"
                          "set title noenhanced font ',14'\n"
                          "set linetype 1 lw 2.5 pt 7 lc rgb '#0072b2'\n"
                          "set linetype 2 lw 2.5 pt 5 lc rgb '#d55e00'\n"
                          "set linetype 3 lw 2.5 pt 9 lc rgb '#009e73'\n"
                          "set linetype 4 lw 2.5 pt 13 lc rgb '#cc79a7'\n"
                          "set linetype 5 lw 2.5 pt 11 lc rgb '#e69f00'\n"
                          "set linetype 6 lw 2.5 pt 6 lc rgb '#56b4e9'\n"
                          "set linetype 7 lw 2.5 pt 4 lc rgb '#000000'\n"
                          "set linetype 8 lw 1.2 pt 7 lc rgb '#a8cbe3'\n"
                          "set pointsize 0.8\n"
                          "set grid lc rgb '#d0d0d0' lw 0.8\n"
                          "set border 3 lw 1.2\n"
                          "set tics nomirror\n"
                          "set style fill solid 0.85 noborder\n";

const char plot_terminal[] =
    "if (!exists('format')) format = 'png'\n"
    "if (format eq 'pdf' && !strstrt(GPVAL_TERMINALS, 'pdfcairo')) exit status 0\n"
    "if (format eq 'svg') set terminal svg size width,height font 'DejaVu Sans,12' background rgb 'white'\n"
    "if (format eq 'pdf') set terminal pdfcairo size width/100.0,height/100.0 font 'DejaVu Sans,12'\n"
    "if (format eq 'png' && strstrt(GPVAL_TERMINALS, 'pngcairo')) set terminal pngcairo size width,height font "
    "'DejaVu Sans,12'\n"
    "if (format eq 'png' && !strstrt(GPVAL_TERMINALS, 'pngcairo')) set terminal png size width,height\n"
    "if (!exists('target')) target = output.'.'.format\n"
    "set output target\n";
