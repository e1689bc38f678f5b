/* inputs.h - the arguments of a command that takes volumes: files, folders of volumes, DICOM. */
#ifndef CALVARIA_CLI_INPUTS_H
#define CALVARIA_CLI_INPUTS_H

#include "base/config.h"

/* Every argument, a folder replaced by the volumes in it, by name; a DICOM folder stays one. In arena. STATUS_FAILED
 * where none is left. */
enum status inputs_list(struct config_strings *ret, int n_inputs, char *const *inputs, struct arena *arena,
                        struct error *error);

#endif
