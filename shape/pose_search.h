/* pose_search.h - the pose of a head in a volume, whatever way the scanner laid it. */
#ifndef CALVARIA_SHAPE_POSE_SEARCH_H
#define CALVARIA_SHAPE_POSE_SEARCH_H

#include "shape/radial_map.h"

/* The pose before any fit of an upright head: R = S = 1, the centre 85 mm below the top (99.9th percentile of z), in x
 * and y the middle of the 1st to 99th percentile of bone within 100 mm of the top. STATUS_FAILED: too little bone. */
enum status pose_initial(struct pose *ret, const struct volume *skull, struct error *error);
/* The outer surface seen from the pose's centre, sampled every step_mm along the rays, one point per ray that meets
 * bone. */
#define POSE_STEP_MM 0.5
enum status cloud_trace(struct cloud *ret, const struct volume *skull, const struct pose *pose, const struct disc *disc,
                        double step_mm, struct error *error);
/* The points of a map's outer surface; NaN left out. */
enum status cloud_from_map(struct cloud *ret, const struct radial_map *map, const struct pose *pose,
                           const struct disc *disc, struct error *error);

/* Any orientation, with what was found said in words: see pose_search.c. */
struct pose_found {
    struct pose pose;
    double loss;                         /* mean Tukey loss, 0..1: below 0.35 for a head */
    double pitch_deg, roll_deg, yaw_deg; /* of the head in the volume: nodding, leaning, turning */
    bool upside_down;                    /* feet first: the vertex points down in the file */
    double seen_share; /* of the vault's directions, those in which bone is seen: less by holes and by a cropped field
                          of view */
    int64_t n_points;
};
/* STATUS_FAILED: "no head": nothing fits (too little bone, a sphere, two heads). `name` starts the message. */
enum status pose_search(struct pose_found *ret, const struct volume *skull, const struct disc *disc,
                        const float *template, const char *name, struct error *error);

#endif
