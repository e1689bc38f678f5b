/* configs.h - the configuration files that come with the program (configs/recipes, configs/networks, configs/defects),
 * by name: beside the sources, or installed in share/calvaria/configs. */
#ifndef CALVARIA_BASE_CONFIGS_H
#define CALVARIA_BASE_CONFIGS_H

#include "base/memory.h"

/* The folder of a kind, as "recipes"; *ret NULL: it is not there. In arena. */
enum status configs_folder(const char **ret, struct arena *arena, const char *kind, struct error *error);
/* The file that name stands for: itself where it exists; configs/KIND/NAME.yaml of the program, also where
 * "configs/KIND/NAME.yaml" is its name and the working folder another one. STATUS_USAGE with the nearest name where
 * there is none. In arena. */
enum status configs_find(const char **ret, const char *kind, const char *name, struct arena *arena,
                         struct error *error);

#endif
