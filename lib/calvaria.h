/* calvaria.h - libcalvaria: from a defective skull in memory to its implant. Research software, not for clinical use.
 *
 *     struct calvaria_error error;
 *     struct calvaria_model *model;
 *     struct calvaria_result *result;
 *     struct calvaria_array skull = {.values = mask, .type = CALVARIA_UINT8, .dims = {nx, ny, nz}, .affine = {...}};
 *
 *     if (calvaria_model_open(&model, NULL, NULL, &error) ||
 *         calvaria_restore(&result, model, &skull, NULL, NULL, &error))
 *         complain(error.message);
 *     calvaria_result_mask(result, CALVARIA_IMPLANT, implant, NULL, &error);
 *     calvaria_result_free(result);
 *     calvaria_model_free(model);
 *
 * The library never prints, never ends the process and installs no signal handler. It leaves the process's locale, the
 * floating-point environment and the environment variables as they are. Functions that can fail return CALVARIA_OK or
 * another status, with a message in the caller's struct calvaria_error (NULL: no message is wanted); what they were to
 * fill is then untouched. Functions that free take NULL.
 *
 * Threads: any number of threads with a handle each. Calls on one model wait for one another. A result does not change;
 * any number of threads may read it. Restoring needs 1 MiB of stack.
 *
 * The page docs/library.md has a whole program, and says how to link. */
#ifndef CALVARIA_H
#define CALVARIA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CALVARIA_API __attribute__((visibility("default")))
#else
#define CALVARIA_API
#endif

/* "0.1.0" */
CALVARIA_API const char *calvaria_version(void);

enum calvaria_status {
    CALVARIA_OK = 0,
    CALVARIA_FAILED = 1,  /* the work, its data or the machine failed */
    CALVARIA_USAGE = 2,   /* an argument or an option */
    CALVARIA_STOPPED = 3, /* the caller's is_cancelled said so */
};

/* Written by a call that fails; a long message is cut. Messages end without a line break, and may have several lines.
 */
struct calvaria_error {
    int32_t status; /* enum calvaria_status */
    char message[4092];
};

/* ---- models ---- */

struct calvaria_model;

/* path: a model file, a run folder, "builtin:mirror", or NULL for the model that is installed with the library.
 * settings: NULL, or "key=value" over the model's restoration ("threshold=0.4"), ended by NULL. */
CALVARIA_API int calvaria_model_open(struct calvaria_model **ret, const char *path, const char *const *settings,
                                     struct calvaria_error *error);
/* From the bytes of a model file, which are not needed afterwards. name stands for the path in messages and reports. */
CALVARIA_API int calvaria_model_open_bytes(struct calvaria_model **ret, const void *bytes, size_t n_bytes,
                                           const char *name, const char *const *settings, struct calvaria_error *error);
/* What the model says of itself: "path", "licence", "name", "metrics", "dataset_hash" ...; NULL where it says nothing.
 * The text lives as long as the model. */
CALVARIA_API const char *calvaria_model_text(const struct calvaria_model *model, const char *key);
CALVARIA_API void calvaria_model_free(struct calvaria_model *model);

/* ---- the input ---- */

enum calvaria_type {
    CALVARIA_INT8,
    CALVARIA_UINT8,
    CALVARIA_INT16,
    CALVARIA_UINT16,
    CALVARIA_INT32,
    CALVARIA_UINT32,
    CALVARIA_INT64,
    CALVARIA_UINT64,
    CALVARIA_FLOAT32,
    CALVARIA_FLOAT64,
};

/* A skull's mask, a map of labels, or a CT in Hounsfield units, which is segmented first; as `calvaria infer` reads a
 * file of these values. Read during the call alone. */
struct calvaria_array {
    const void *values;
    int32_t type; /* enum calvaria_type */
    int64_t dims[3];
    int64_t strides[3];  /* bytes from one value to the next along each axis; all 0: dense, the first axis fastest */
    double affine[4][4]; /* from index (i, j, k, 1) to millimetres: x to the patient's right, y to the front, z up
                            (RAS, as NIfTI's sform and nibabel); the last row is 0 0 0 1 */
};

/* ---- restoring ---- */

/* How a caller follows a call, in the thread that calls. Functions may be NULL. They must not call the library with the
 * same model. */
struct calvaria_watch {
    void *context;
    void (*progress)(void *context, const char *stage, double done_frac); /* of the whole call, 0 to 1 */
    int (*is_cancelled)(void *context); /* other than 0: the call ends with CALVARIA_STOPPED before its next step */
    void (*log)(void *context, int is_warning, const char *line); /* without a line break */
};

struct calvaria_result;

/* options: NULL, or the program's options without dashes ("clearance-mm=0.5", "insertable", "no-mesh"), ended by NULL;
 * all of them are on the page. watch: NULL: nobody. */
CALVARIA_API int calvaria_restore(struct calvaria_result **ret, struct calvaria_model *model,
                                  const struct calvaria_array *skull, const char *const *options,
                                  const struct calvaria_watch *watch, struct calvaria_error *error);

/* ---- the result: in the input's dims and axis order ---- */

enum calvaria_mask {
    CALVARIA_IMPLANT,
    CALVARIA_COMPLETED, /* the skull with its implant */
    CALVARIA_SKULL,     /* the skull as it was read: of a CT, its bone */
    CALVARIA_RAW,       /* the prediction before any rule; with the option "keep-raw" */
};

CALVARIA_API void calvaria_result_dims(const struct calvaria_result *result, int64_t ret_dims[3]);
/* One byte a voxel, 0 or 1. strides: as of struct calvaria_array; NULL: dense, the first axis fastest. */
CALVARIA_API int calvaria_result_mask(const struct calvaria_result *result, int mask, uint8_t *ret_values,
                                      const int64_t strides[3], struct calvaria_error *error);
/* Millimetres to the implant's surface, positive inside; NaN where it was not computed, far from the implant. A shape
 * model measures along the ray from the head's centre, before any rule; other models give the distance to the mask. */
CALVARIA_API int calvaria_result_field(const struct calvaria_result *result, float *ret_values,
                                       const int64_t strides[3], struct calvaria_error *error);

/* Of the implant; closed, oriented outward. Lives as long as the result. */
struct calvaria_mesh {
    int64_t n_vertices, n_faces;
    const double *vertices;   /* x, y, z of each, RAS mm */
    const int64_t *faces;     /* three vertices of each, counter-clockwise from outside */
    const float *interval_mm; /* of each vertex: half the width of its 90 % interval; NULL: the model states none */
};
CALVARIA_API int calvaria_result_mesh(const struct calvaria_result *result, struct calvaria_mesh *ret,
                                      struct calvaria_error *error);

enum calvaria_report { CALVARIA_JSON, CALVARIA_HTML };
/* Lives as long as the result; NULL with the option "no-report", or for another format. */
CALVARIA_API const char *calvaria_result_report(const struct calvaria_result *result, int format);
CALVARIA_API void calvaria_result_free(struct calvaria_result *result);

#ifdef __cplusplus
}
#endif

#endif
