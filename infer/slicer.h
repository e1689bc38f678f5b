/* slicer.h - calvaria-infer as a module of 3D Slicer, by its Slicer Execution Model: the program describes its
 * parameters in XML, and is then called with files for its inputs and outputs. Any program of that model can call it.
 *
 *   calvaria-infer --xml
 *   calvaria-infer --implant i.nrrd --surface i.stl --clearance_mm 1 skull.nrrd */
#ifndef CALVARIA_INFER_SLICER_H
#define CALVARIA_INFER_SLICER_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"

/* Whether the words are Slicer's: an output has a file of its own (--implant, --completed, --surface, --report). */
bool slicer_is_call(int argc, char *const *argv);
/* The description. version: the module's. */
void slicer_describe(FILE *file, const char *version);
/* The work: argv are the words behind the program's name. Progress goes to `out` as the model has it (<filter-start>,
 * <filter-progress>, <filter-end>), warnings to `log`. */
enum status slicer_run(int argc, char *const *argv, FILE *out, FILE *log, struct error *error);

#endif
