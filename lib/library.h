/* library.h - private to lib/: what the handles hold. */
#ifndef CALVARIA_LIB_LIBRARY_H
#define CALVARIA_LIB_LIBRARY_H

#include <pthread.h>

#include "infer/outcome.h"
#include "lib/calvaria.h"

struct calvaria_model {
    struct restorer *restorer;
    pthread_mutex_t mutex; /* a restorer works for one call at a time */
};

struct calvaria_result {
    int64_t dims[3]; /* the input's, in its order */
    struct volume skull;
    struct restoration restoration;
    struct mesh mesh; /* RAS mm */
    bool has_mesh;
    char *report[2]; /* by enum calvaria_report */
};

#endif
