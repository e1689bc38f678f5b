/* truth.h - finding and reading the volumes of a case by name, for evaluation. */
#ifndef CALVARIA_CLI_TRUTH_H
#define CALVARIA_CLI_TRUTH_H

#include "base/config.h"
#include "data/volume/volume.h"

/* FOLDER/NAME_KIND in any volume format, or NULL: it is not there. In arena. */
enum status truth_find(const char **ret, struct arena *arena, const char *folder, const char *name, const char *kind,
                       struct error *error);

/* The NAMEs of every NAME_implant in a folder, sorted; the same case in two formats is one. STATUS_FAILED: none. */
enum status truth_cases(struct config_strings *ret, const char *folder, struct arena *arena, struct error *error);

/* A mask that may be empty: an implant of nothing is a legitimate prediction. */
enum status truth_read_implant(struct volume *ret, const char *path, struct error *error);

/* The defective skull of a case: NAME_defective, or NAME_complete minus implant; data NULL where the folder has
 * neither. */
enum status truth_read_defective(struct volume *ret, struct arena *arena, const char *folder, const char *name,
                                 const struct volume *implant, struct error *error);

#endif
