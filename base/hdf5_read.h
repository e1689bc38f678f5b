/* hdf5_read.h - HDF5 files from anywhere, opened so that they open no other: links out of them (and soft links, which
 * may lead there), values stored in other files, virtual datasets and filters that would have to be loaded are refused.
 * On failure each call gives a negative number and leaves its reason on HDF5's error stack. Call them under hdf5_lock.
 * Paths may have several parts; each is looked at. */
#ifndef CALVARIA_BASE_HDF5_READ_H
#define CALVARIA_BASE_HDF5_READ_H

#include <hdf5.h>
#include <stdbool.h>

hid_t hdf5_open_file(const char *path); /* to read */
/* Is there a link of this name? It may still be one that is refused. */
bool hdf5_has(hid_t parent, const char *path);
hid_t hdf5_open_group(hid_t parent, const char *path);
hid_t hdf5_open_dataset(hid_t parent, const char *path);

#endif
