/* mesh_write.h - private to infer/mesh: a mesh's file, written whole or not at all. */
#ifndef CALVARIA_INFER_MESH_MESH_WRITE_H
#define CALVARIA_INFER_MESH_MESH_WRITE_H

#include <stdio.h>

#include "infer/mesh/mesh.h"

/* One format: false where the file cannot be written. */
typedef bool mesh_writer(FILE *file, const struct mesh *mesh, enum mesh_space space);

enum status mesh_write(const char *path, const struct mesh *mesh, enum mesh_space space, mesh_writer *write,
                       struct error *error);

#endif
