/* events.h - what a run reports, as an event file that TensorBoard shows: scalars and pictures.
 *
 * The file is events.out.tfevents.SECONDS.calvaria.PID in the run's folder. Every process that goes on with a run
 * writes one of its own; a session mark at its start makes TensorBoard forget later steps of the earlier files. No C
 * library writes these files, so the records (length, masked CRC-32C, bytes; tensorflow/core/lib/io/record_writer.cc)
 * are written here; protobuf-c packs what is in them. */
#ifndef CALVARIA_TRAIN_EVENTS_H
#define CALVARIA_TRAIN_EVENTS_H

#include <stdint.h>

#include "base/error.h"

struct events;

/* Steps behind `step` of earlier files are void. */
enum status events_open(struct events **ret, const char *folder, int64_t step, struct error *error);
/* Values that are not finite are left out. */
enum status events_scalars(struct events *events, int64_t step, int n, const char *const *tags, const double *values,
                           struct error *error);
/* A PNG file, as it is. STATUS_OK where there is none of this name. */
enum status events_png(struct events *events, int64_t step, const char *tag, const char *path, struct error *error);
void events_close(struct events *events); /* NULL allowed */

/* CRC-32C (Castagnoli; RFC 3720, appendix B.4). */
uint32_t events_crc32c(const void *bytes, size_t n);

#endif
