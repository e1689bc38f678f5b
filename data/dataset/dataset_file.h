/* dataset_file.h - private to the dataset: what one stored mask is, for the reader (dataset.c) and the writer (pack.c).
 */
#ifndef CALVARIA_DATA_DATASET_DATASET_FILE_H
#define CALVARIA_DATA_DATASET_DATASET_FILE_H

#include "data/dataset/dataset.h"
#include "base/hdf5.h"

#define DATASET_FORMAT "calvaria-dataset"
enum { DATASET_VERSION = 1, DATASET_CHUNK = 64, DATASET_DIM_MAX = 16384 };
#define DATASET_VOXELS_MAX ((int64_t)1 << 31)

/* The name of a skull's mask in its group. */
#define DATASET_SKULL(defective) ((defective) ? "skull" : "complete")

/* XXH64 of dims and voxels. */
uint64_t mask_hash(const uint8_t *mask, const int64_t dim[3]);

struct case_entry {
    struct dataset_case item;
    struct storage storage;
    uint64_t *implant_hashes;
};

/* Another split than the file's, in this opening alone. */
void dataset_set_split(struct dataset *set, int64_t i, enum dataset_split split);
const struct case_entry *dataset_entry(const struct dataset *set, int64_t i);

/* --- writing: an open file that becomes set.h5 --- */
struct set_writer {
    const char *path;             /* the part file, for messages */
    hid_t file, cases, defective; /* defective: -1 until it is needed */
};
enum status set_writer_open(struct set_writer *writer, const char *path, struct error *error);
enum status set_writer_close(struct set_writer *writer, struct error *error); /* also after a failure */
/* What a case is, beside its voxels. */
struct set_case {
    const char *name, *source, *group; /* group NULL: none */
    bool defective;
    enum dataset_split split; /* for set_write_split */
};
/* Starts /cases/NAME (or /defective/NAME) and writes its skull. *ret_group: end with set_end_case. */
enum status set_write_case(hid_t *ret_group, struct set_writer *writer, const struct set_case *item,
                           const struct volume *skull, uint64_t hash, struct error *error);
void set_end_case(hid_t group);
enum status set_write_implant(struct set_writer *writer, hid_t group, const char *name, const char *source,
                              const uint8_t *implant, const int64_t dim[3], struct error *error);
/* Split and group: known when all skulls are. */
enum status set_write_split(struct set_writer *writer, const struct set_case *item, struct error *error);

#endif
