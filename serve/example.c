/* example.c - the skull that a visitor can try; see work.h. Test: tests/serve/test_server.sh */
#include "data/defects/defect.h"
#include "data/phantom/phantom.h"
#include "data/volume/formats.h"
#include "serve/work.h"

enum { EXAMPLE_SEED = 20210611, EXAMPLE_SKULL = 1 };
static const char example_defects[] = "defects: [ { type: region, class: parietotemporal } ]";

static enum status example_cut(struct volume *skull, struct arena *arena, struct error *error)
{
    struct defects_config defects;
    struct yaml_node *root;
    struct region region = {0};
    enum status status = yaml_read_text(&root, example_defects, "example", arena, error);

    if (!status)
        status = config_bind(&defects_table, root, &defects, arena, error);
    if (!status)
        status = defect_draw(&region, NULL, skull, box_of_mask(skull->data, skull->grid.dim), &defects,
                             rng_make(EXAMPLE_SEED, 1), error);
    uint8_t *bone = skull->data;
    const uint8_t *cut = region.mask;
    const struct box *box = &region.box;

    for (int64_t z = box->lo[2]; !status && z < box->hi[2]; z++)
        for (int64_t y = box->lo[1]; y < box->hi[1]; y++)
            for (int64_t x = box->lo[0]; x < box->hi[0]; x++)
                if (*cut++)
                    bone[(z * skull->grid.dim[1] + y) * skull->grid.dim[0] + x] = 0;

    region_done(&region);
    return status;
}

enum status example_write(const char *path, struct error *error)
{
    struct arena arena = {0};
    struct phantom_config config;
    struct volume skull = {0};
    enum status status = config_bind(&phantom_table, NULL, &config, &arena, error);

    if (!status)
        status = phantom_skull(&skull, &config, EXAMPLE_SEED, EXAMPLE_SKULL, error);
    if (!status)
        status = example_cut(&skull, &arena, error);
    if (!status)
        status = volume_write(path, &skull, error);
    volume_done(&skull);
    arena_done(&arena);
    return status;
}
