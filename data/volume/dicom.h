/* dicom.h - DICOM series through dcm2niix, the converter of the field, run as a program of its own: a file that crashes
 * it ends only the conversion. It corrects gantry tilt (_Tilt) and uneven spacing (_Eq), honours rescale, and decodes
 * the compressed transfer syntaxes that it was built with.
 *
 *     struct dicom dicom;
 *     if (dicom_open(&dicom, "scan.zip", error)) ...          // a folder or a zip, converted into a temporary folder
 *     const struct dicom_series *series;
 *     if (dicom_choose(&series, &dicom, NULL, error)) ...     // the largest CT, or the one that is named
 *     volume_read(&ct, series->path, error);
 *     dicom_done(&dicom);                                     // removes the temporary folder
 *
 * Neither names of patients nor dates of birth are read or logged: the converter is run with its anonymising option. */
#ifndef CALVARIA_DATA_VOLUME_DICOM_H
#define CALVARIA_DATA_VOLUME_DICOM_H

#include <stdbool.h>

#include "base/error.h"
#include "base/memory.h"
#include "data/volume/grid.h"

struct dicom_series {
    int64_t number;
    const char *description, *modality;
    const char *path; /* the NIfTI, corrected where there was something to correct */
    const char *note; /* "gantry tilt corrected" ...; "" */
    struct grid grid;
};

struct dicom {
    const char *path;
    char *folder; /* temporary */
    struct arena arena;
    int n;
    struct dicom_series *series; /* by number */
};

/* A zip, a DICOM file, or a folder that holds DICOM files (also in subfolders) and no volume of another format. */
enum status dicom_is(bool *ret, const char *path, struct error *error);
/* Converts all series. STATUS_FAILED: dcm2niix (or unzip) is not installed, the message names the package; nothing is
 * there; more than DICOM_MAX_BYTES unpacked. */
enum status dicom_open(struct dicom *ret, const char *path, struct error *error);
/* choice: a series number or a part of a description; NULL: any CT. Of those that fit, the one of most slices.
 * STATUS_USAGE with the list where none fits, or where two have as many slices. */
enum status dicom_choose(const struct dicom_series **ret, const struct dicom *dicom, const char *choice,
                         struct error *error);
void dicom_done(struct dicom *dicom);

#endif
