/* dataset.h - set.h5: healthy skulls, and fixed defects where given (stored as implant masks), chunked and compressed;
 * see docs/dataset.md. Readable with h5py.
 *
 *   /                        attributes: format "calvaria-dataset", format_version 1
 *   /cases/NAME/complete     u8 (z,y,x) chunks of 64^3, deflate, chunks without bone left out; attributes axis
 *     (3,3), origin, box, source,
 *                            content_hash, split, and how the file had it (format, storage_axis, ...)
 *   /defective/NAME/skull    likewise: a skull with a hole that nobody has filled
 *   /cases/NAME/implants/DEFECT   u8, likewise; attributes box, content_hash, source */
#ifndef CALVARIA_DATA_DATASET_DATASET_H
#define CALVARIA_DATA_DATASET_DATASET_H

#include "base/config.h"
#include "data/dataset/layout.h"
#include "data/mask/morphology.h"
#include "data/volume/volume.h"

enum dataset_split { SPLIT_TRAIN, SPLIT_VAL, SPLIT_TEST, SPLIT_N };
extern const char *const dataset_split_names[]; /* "train", "val", "test", NULL */

struct dataset_case {
    const char *name, *source;
    const char *group;     /* cases of one group are scans of one head; NULL: none was given */
    bool defective;        /* a skull with a hole, of which no more is known */
    uint64_t content_hash; /* of the complete skull's dims and voxels (XXH64): the same skull twice has one hash,
                              whatever its affine */
    enum dataset_split split;
    struct grid grid;
    struct box box; /* of the bone */
    int64_t n_implants;
    const char **implant_names;
    struct box *implant_boxes;
};

struct dataset;

/* The file has the attribute of a dataset (of any version). */
bool dataset_is(const char *path);
enum status dataset_open(struct dataset **ret, const char *path, struct error *error);
void dataset_close(struct dataset *set);
/* Healthy skulls: cases 0 .. n - 1. Behind them stand the defective ones: cases n .. n + dataset_n_defective - 1.
 * Nobody who asks for the cases of a set gets those by chance. */
int64_t dataset_n_cases(const struct dataset *set);
int64_t dataset_n_defective(const struct dataset *set);
const struct dataset_case *dataset_case(const struct dataset *set, int64_t i);
uint64_t dataset_hash(const struct dataset *set); /* of all cases' names, grids, contents and splits */
/* Thread-safe. The whole complete skull (u8, storage as packed). */
enum status dataset_read_skull(struct volume *ret, struct dataset *set, int64_t i, struct error *error);
/* Stored implant j of case i, whole. */
enum status dataset_read_implant(struct volume *ret, struct dataset *set, int64_t i, int64_t j, struct error *error);
/* A box of either (implant < 0: the complete skull) straight from the file into out (box-sized, x fastest); outside the
 * volume is 0. */
enum status dataset_read_box(uint8_t *out, struct dataset *set, int64_t i, int64_t implant, struct box box,
                             struct error *error);

/* --- packing --- */
struct pack_config {
    double split_frac[3]; /* train, val, test */
    int64_t seed;
    double spacing_mm;      /* skulls and implants are brought to this grid; 0: their own */
    const char *split_file; /* case<TAB>train|val|test[<TAB>group], "-" for a split: at random; NULL: all at random */
    struct layout_options layout;
};
/* Packs what a folder or a table holds (data/dataset/layout.h); what did not match is logged, and listed in the
 * error when nothing did. Cases of one group, and skulls with the same content, stay on one side of the split. One case
 * in memory at a time. */
enum status dataset_pack(const char *folder, const char *out, const struct pack_config *config, struct error *error);
/* split: enum dataset_split, or SPLIT_N for all. format: enum volume_format, or -1 for the packed one. */
enum status dataset_unpack(const char *path, int split, const char *folder, int format, bool overwrite,
                           struct error *error);

/* An integrity check of set.h5 or of a folder that could be packed: is each case a mask, of sane spacing and affine,
 * mostly one component, its implants parts of it? A bad case is named with every reason; what is only suspicious (vault
 * cut by the scan?) is a note. STATUS_OK when the check itself could run: n_bad is the result. */
struct check_report {
    int64_t n_cases, n_bad;
    FILE *out;           /* one line per case; NULL: none */
    const char *preview; /* FILE.png: a contact sheet with a row per case (data/picture/contact_sheet.h); NULL: none */
    bool overwrite;      /* of a contact sheet that is there already */
    struct layout_options layout; /* of a folder or a table */
};
enum status dataset_check(const char *path, struct check_report *report, struct error *error);

#endif
