/* restoration_file.h - a restoration as a file, so that what follows it (rules, mesh, report) runs once more without
 * the network.
 *
 *     restoration_write("work/restoration", &result, &error);
 *     restoration_read(&result, "work/restoration", &skull, &error);       // a later process of the same program
 *
 * The file belongs to one build of the program on one machine: it holds structures as they lie in memory. A file of
 * another build is refused. The completed skull is not stored: it is the skull and the implant. */
#ifndef CALVARIA_INFER_RESTORATION_FILE_H
#define CALVARIA_INFER_RESTORATION_FILE_H

#include "infer/restore.h"

enum status restoration_write(const char *path, const struct restoration *restoration, struct error *error);
/* skull: the one that was restored, on its own grid. STATUS_FAILED: another build's file, another skull's, a damaged
 * one. */
enum status restoration_read(struct restoration *ret, const char *path, const struct volume *skull,
                             struct error *error);

#endif
