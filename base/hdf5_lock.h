/* hdf5_lock.h - Debian's HDF5 is not thread-safe: one thread of the process is inside it at a time. Training writes
 * checkpoints (nn) while loader threads read the dataset (data), so the lock is the process's, and stands below both.
 * Take it around each group of calls, in the outermost function that makes them; it is not recursive. */
#ifndef CALVARIA_BASE_HDF5_LOCK_H
#define CALVARIA_BASE_HDF5_LOCK_H

void hdf5_lock(void);
void hdf5_unlock(void);

#endif
