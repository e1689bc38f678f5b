/* hdf5_repair.h - makes the checksums of a damaged HDF5 file right again, so that the damage gets past them. */
#ifndef CALVARIA_TESTS_FUZZ_HDF5_REPAIR_H
#define CALVARIA_TESTS_FUZZ_HDF5_REPAIR_H

#include <stddef.h>
#include <stdint.h>

/* Superblocks of version 2 and 3, object headers of version 2 and their continuations: what our files consist of. Older
 * structures have no checksums. Returns how many places carry one. */
int hdf5_repair(uint8_t *data, size_t n);

#endif
