/* colours.h - the colours of pictures, report and web page, in one place. Bone is ivory. All others are of Okabe and
 * Ito ("Color Universal Design", 2008): people with any kind of colour vision distinguish them.
 *
 * serve/web/build.mjs reads the lines "#define COLOUR_NAME {red, green, blue}" of this file. */
#ifndef CALVARIA_DATA_PICTURE_COLOURS_H
#define CALVARIA_DATA_PICTURE_COLOURS_H

/* clang-format off */
#define COLOUR_BONE {227, 218, 201}
#define COLOUR_IMPLANT {213, 94, 0} /* vermillion */

/* A prediction against the truth. */
#define COLOUR_CORRECT {0, 158, 115} /* bluish green */
#define COLOUR_MISSED {213, 94, 0}   /* vermillion */
#define COLOUR_EXTRA {0, 114, 178}   /* blue */

/* What a check found. */
#define COLOUR_GOOD {0, 158, 115} /* bluish green */
#define COLOUR_NOTE {230, 159, 0} /* orange */
#define COLOUR_BAD {213, 94, 0}   /* vermillion */

#define COLOUR_PAPER {255, 255, 255}
#define COLOUR_INK {40, 44, 52}
#define COLOUR_FAINT {110, 116, 126}
#define COLOUR_SLICE {14, 17, 22} /* the ground of slices */
/* clang-format on */

#endif
