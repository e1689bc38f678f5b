/* defect.c - the list of generators, and one defect from it: tried until enough bone is removed. See defect.h. Test:
 * tests/data/test_defect.c. */
#include "data/defects/defect.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "base/memory.h"
#include "data/defects/region.h"

static const struct defect_ops *const generators[] = {&defect_cube, &defect_sphere, &defect_craniotomy, &defect_blobs,
                                                      &defect_region};

/* clang-format off */
static const struct config_field defect_base_fields[] = {
    {.key = "weight", .type = CONFIG_DOUBLE, .offset = offsetof(struct defect_config, weight), .text = "1", .min = 0,
     .max = 1e6, .help = "share in a mixture"},
    {.key = "min_volume_ml", .type = CONFIG_DOUBLE, .offset = offsetof(struct defect_config, min_volume_ml),
     .text = "2", .unit = "ml", .min = 0, .max = 2000, .help = "bone removed at least; less is drawn again"},
    {0}};
/* clang-format on */
const struct config_table defect_base_table = {.size = sizeof(struct defect_config), .fields = defect_base_fields};

const struct config_table *defect_table_at(int index)
{
    const int n = (int)(sizeof generators / sizeof *generators);
    return index >= 0 && index < n ? &generators[index]->config : NULL;
}

static enum status defects_check(const void *value, const struct yaml_node *node, struct error *error)
{
    const struct defects_config *config = value;
    double sum = 0;
    for (int64_t i = 0; i < config->defects.n; i++)
        sum += ((const struct defect_config *)config->defects.items[i].value)->weight;
    if (config->defects.n == 0)
        return yaml_error(error, node,
                          "defects: the list is empty (one generator at least, for example '- type: cube')");
    if (sum <= 0)
        return yaml_error(error, node, "defects: every weight is 0: nothing can be drawn");
    return STATUS_OK;
}

/* clang-format off */
static const struct config_field defects_fields[] = {
    {.key = "defects", .type = CONFIG_LIST, .offset = offsetof(struct defects_config, defects), .required = true,
     .variant = defect_table_at, .help = "generators; each defect is drawn from one of them, by weight"},
    {.key = "max_tries", .type = CONFIG_INT, .offset = offsetof(struct defects_config, max_tries), .text = "100",
     .min = 1, .max = 1e6, .help = "draws before a defect that removes too little bone is an error"},
    {0}};
/* clang-format on */
/* clang-format off */
const struct config_table defects_table = {
    .help = "synthetic defects", .size = sizeof(struct defects_config), .fields = defects_fields,
    .check = defects_check};
/* clang-format on */

enum status defects_read(struct defects_config *ret, const char *path, struct arena *arena, struct error *error)
{
    struct yaml_node *root;
    if (yaml_read_extended(&root, path, arena, error) || config_bind(&defects_table, root, ret, arena, error))
        return error_while(error, "reading the defects of %s", path);
    return STATUS_OK;
}

/* The descriptor that owns a bound item's table. */
static const struct defect_ops *defect_ops_of(const struct config_table *table)
{
    return (const struct defect_ops *)((const char *)table - offsetof(struct defect_ops, config));
}

static const struct config_item *defect_pick(const struct config_list *list, struct rng *rng)
{
    double sum = 0;
    for (int64_t i = 0; i < list->n; i++)
        sum += ((const struct defect_config *)list->items[i].value)->weight;
    double left = rng_uniform(rng, 0, sum);
    const struct config_item *last = NULL;
    for (int64_t i = 0; i < list->n; i++) {
        const double weight = ((const struct defect_config *)list->items[i].value)->weight;
        if (weight > 0)
            last = &list->items[i];
        if (weight > 0 && left < weight)
            return last;
        left -= weight;
    }
    return last;
}

enum status defect_draw(struct region *ret, const char **ret_type, const struct volume *skull, struct box skull_box,
                        const struct defects_config *config, struct rng rng, struct error *error)
{
    *ret = (struct region){0};
    if (skull->type != VOXEL_U8 || box_empty(skull_box))
        return error_set(error, STATUS_FAILED,
                         "defect: the skull is empty or no mask: nothing to cut (segment the CT first)");

    struct rng mixture = rng_child(&rng, 0);
    const struct config_item *item = defect_pick(&config->defects, &mixture);
    const struct defect_ops *ops = defect_ops_of(item->table);
    const double min_ml = ((const struct defect_config *)item->value)->min_volume_ml;
    double most_ml = 0;

    /* Every try has a stream of its own, so that try 3 does not depend on how many numbers try 2 used */
    for (int64_t try = 1; try <= config->max_tries; try++) {
        struct rng attempt = rng_child(&rng, (uint64_t)try);
        struct region region = {0};
        int64_t n = 0;
        if (ops->draw(item->value, skull, skull_box, &attempt, &region, error) ||
            region_cut(&region, skull, &n, error)) {
            region_done(&region);
            return error_while(error, "drawing a defect of type '%s'", ops->config.type);
        }
        const double ml = (double)n * grid_voxel_ml(&skull->grid);
        if (n > 0 && ml >= min_ml) {
            *ret = region;
            if (ret_type)
                *ret_type = ops->config.type;
            return STATUS_OK;
        }
        most_ml = ml > most_ml ? ml : most_ml;
        region_done(&region);
    }

    return error_set(error, STATUS_FAILED,
                     "defect '%s': none of %" PRId64
                     " draws removed %g ml of bone (the most was %.3g ml): lower min_volume_ml or enlarge the defect",
                     ops->config.type, config->max_tries, min_ml, most_ml);
}

enum status defect_inject(uint8_t *implant, struct box *ret_box, const char **ret_type, const struct volume *skull,
                          const struct defects_config *config, struct rng rng, struct error *error)
{
    const int64_t *dim = skull->grid.dim;
    struct region region;
    if (defect_draw(&region, ret_type, skull, box_of_mask(skull->data, dim), config, rng, error))
        return error->status;
    memset(implant, 0, (size_t)grid_voxels(&skull->grid));
    const struct box box = region.box;
    const uint8_t *row = region.mask;
    for (int64_t z = box.lo[2]; z < box.hi[2]; z++)
        for (int64_t y = box.lo[1]; y < box.hi[1]; y++, row += box_size(box, 0))
            memcpy(implant + (z * dim[1] + y) * dim[0] + box.lo[0], row, (size_t)box_size(box, 0));
    *ret_box = box;
    region_done(&region);
    return STATUS_OK;
}
