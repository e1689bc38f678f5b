/* fixture.h - small masks and networks for the tests of infer/. A failure to make them ends the program: nothing could
 * be tested.
 */
#ifndef CALVARIA_TESTS_INFER_FIXTURE_H
#define CALVARIA_TESTS_INFER_FIXTURE_H

#include "data/mask/morphology.h"
#include "data/volume/volume.h"
#include "nn/network/network.h"

/* A u8 volume of zeros, spacing in mm. */
struct volume fixture_volume(int64_t x, int64_t y, int64_t z, double sx, double sy, double sz);
/* Each voxel set with probability `share`, a pure function of seed. */
void fixture_noise(struct volume *volume, uint64_t seed, double share);
void fixture_box(struct volume *volume, struct box box, uint8_t value);
/* A shell of bone: an ellipsoid's wall of thickness_mm around the middle of the volume, open below. */
void fixture_skull(struct volume *volume, double thickness_mm);
uint8_t fixture_at(const struct volume *volume, int64_t x, int64_t y, int64_t z);

struct fixture_network {
    struct arena arena;
    struct network_config config;
    struct params params;
};

/* From YAML text; parameters drawn from seed. */
void fixture_network(struct fixture_network *ret, const char *yaml, uint64_t seed);
/* One 1x1x1 convolution of weight 1: its answer is its input. patch: x, y, z. */
void fixture_identity(struct fixture_network *ret, int64_t px, int64_t py, int64_t pz);
void fixture_network_done(struct fixture_network *network);

#endif
