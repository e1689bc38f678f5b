/* skull_file.h - a skull from a file, whatever it holds: a mask is read, a CT is segmented; either way it is checked.
 */
#ifndef CALVARIA_DATA_SEGMENT_SKULL_FILE_H
#define CALVARIA_DATA_SEGMENT_SKULL_FILE_H

#include "data/segment/segment.h"
#include "data/volume/dicom.h"
#include "data/volume/formats.h"

struct skull_options {
    struct mask_choice mask;
    struct segment_config segment;
    const char *series; /* of a DICOM folder or zip: a number or a part of the description; NULL: the largest CT */
    bool strict;        /* warnings are errors */
};
extern const struct config_table skull_table;

struct skull_report {
    bool segmented; /* the file was a CT */
    struct segment_report segment;
    int64_t
        n_outlying; /* voxels left out: pieces outside the head that would shift it in the network's field of view */
    struct warnings warnings;
};

enum status skull_read(struct volume *ret, struct skull_report *report, const char *path,
                       const struct skull_options *options, struct error *error);
/* The same of a volume in memory, which it takes over (freed also on failure); path starts the messages. */
enum status skull_from_volume(struct volume *ret, struct skull_report *report, struct volume *volume, const char *path,
                              const struct skull_options *options, struct error *error);
/* Checks a mask and takes out the pieces that lie beside or above the main one; a mask without such stays as it is. */
enum status skull_check(struct volume *skull, struct skull_report *report, struct error *error);
/* An input as a file that can be read: of a DICOM folder or zip the chosen series, converted; else the file itself. */
struct skull_input {
    const char *path; /* read this */
    bool is_dicom;
    struct dicom dicom;
};
enum status skull_input_open(struct skull_input *ret, const char *path, const char *series, struct error *error);
void skull_input_close(struct skull_input *input);
/* STATUS_FAILED with all warnings where there are any and options->strict. */
enum status skull_strict(const struct warnings *warnings, bool strict, const char *path, struct error *error);

#endif
