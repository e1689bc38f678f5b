/* chain.h - a dataset of small hollow heads, a small network and recipes on them: seconds of training for the tests. */
#ifndef CALVARIA_TESTS_TRAIN_CHAIN_H
#define CALVARIA_TESTS_TRAIN_CHAIN_H

#include <stdbool.h>

#include "train/trainer_open.h"

/* The path of a packed dataset of 6 heads (4 train, 2 val) of 40x44x36 voxels, made on the first call; NULL (and a
 * failed check) when it cannot be made. */
const char *chain_set(void);

/* A shape model of all heads of that set, fitted on the first call; NULL (and a failed check) when it cannot be made.
 */
const char *chain_shape(void);

/* Writes FOLDER/name with a recipe whose network has convolutions, batch norm, dropout and a skip, Adam, 16^3 patches
 * of the grid sampler, and `extra` lines at its end. Returns its path. */
const char *chain_recipe(const char *name, const char *extra);

/* Writes FOLDER/name beside "plain.yaml", a recipe of chain_recipe that it may build on. NULL (and a failed check) when
 * that fails. */
const char *chain_write(const char *name, const char *text);

/* Lines for `extra`: a small discriminator whose layers are look, judge_norm and real. */
extern const char chain_adversary[];

/* trainer_create of a new run. */
enum status chain_trainer(struct trainer *trainer, const char *recipe, int n_sets, char *const *sets,
                          const char *folder, struct error *error);

/* FOLDER/run/name. */
const char *chain_in(const char *run, const char *name);

/* Steps so far in the run's metrics table; -1: there is none. */
int chain_steps(const char *run);

/* Waits until the path is there; a failed check after a minute. */
void chain_wait_for(const char *path);

/* The whole file; free with memory_free. NULL when it cannot be read. */
char *chain_text(const char *path);

/* Every weight and every block of state in two model files is bitwise equal; prints the first that is not. */
bool chain_same_model(const char *path_a, const char *path_b);

#endif
