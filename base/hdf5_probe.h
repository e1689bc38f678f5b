/* hdf5_probe.h - private to base/hdf5.c: a file is read once in a child process before this one opens it.
 *
 * HDF5 1.10 crashes or runs on without end on crafted files, also on ones whose checksums are right. A child that does
 * nothing else opens the file, walks over all its objects, and reads what the project would read. When it dies, the
 * file is refused; when it comes through, this process does the same steps on the same bytes.
 *
 * What remains: a file that is changed between the two, and what exceeds HDF5_PROBE_MAX_BYTES of data in one file: the
 * index of such datasets is walked, their chunks are not unpacked. A packed set holds gigabytes; models stay below. */
#ifndef CALVARIA_BASE_HDF5_PROBE_H
#define CALVARIA_BASE_HDF5_PROBE_H

#include <hdf5.h>

enum { HDF5_PROBE_MAX_BYTES = 1 << 28 };

/* Opens the file again, in the child. Negative on failure. */
typedef hid_t (*hdf5_probe_open)(const void *context);

/* Why the file must not be opened here; NULL: nothing was found. bytes: its size, which bounds the time. Under
 * hdf5_lock: no thread is inside the library while the process is copied. */
const char *hdf5_probe(hdf5_probe_open open, const void *context, size_t bytes);

#endif
