/* print.c - what a network would cost and how it looks, before anything is allocated. Test:
 * tests/nn/test_network_errors.c */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "nn/network/network_impl.h"

static struct shape print_config_shape(const struct network_config *config)
{
    return (struct shape){1, config->input_channels, config->patch_vox[2], config->patch_vox[1], config->patch_vox[0]};
}

enum status network_describe(struct params *params, const struct network_config *config, struct error *error)
{
    struct network network = {0};
    enum status status = network_graph(&network, config, params, print_config_shape(config), NETWORK_INFER, error);
    network_done(&network);
    return status;
}

/* Bytes of the arena in one mode: primitives are prepared, no tensor is allocated. */
static enum status print_cost_bytes(int64_t *ret, const struct network_config *config, struct shape src,
                                    enum network_mode mode, struct error *error)
{
    struct params params = {0};
    struct network network = {0};
    enum status status = network_build(&network, config, &params, src, mode, false, error);
    *ret = network.bytes;
    network_done(&network);
    params_done(&params);
    return status;
}

enum status network_cost_recompute(int64_t ret_bytes[RECOMPUTE_MODES], const struct network_config *config,
                                   struct shape src, struct error *error)
{
    struct network_config with = *config;
    enum status status = STATUS_OK;
    for (int mode = 0; mode < RECOMPUTE_MODES && !status; mode++) {
        with.recompute = mode;
        status = print_cost_bytes(&ret_bytes[mode], &with, src, NETWORK_TRAIN, error);
    }
    return status;
}

enum status network_cost(struct network_cost *ret, const struct network_config *config, struct shape src,
                         struct error *error)
{
    struct network_cost cost = {0};
    struct params params = {0};
    struct network network = {0};
    enum status status = network_graph(&network, config, &params, src, NETWORK_INFER, error);

    for (int64_t i = 0; i < params.n; i++) {
        cost.n_params += params.items[i].count;
        cost.n_trainable += params.items[i].trainable ? params.items[i].count : 0;
    }

    for (int64_t i = 0; i < network.n_layers; i++)
        cost.macs += network.nodes[i].macs;
    if (!status)
        cost.dst = network_dst_shape(&network);
    network_done(&network);
    params_done(&params);
    if (!status)
        status = print_cost_bytes(&cost.infer_bytes, config, src, NETWORK_INFER, error);
    if (!status)
        status = print_cost_bytes(&cost.train_bytes, config, src, NETWORK_TRAIN, error);
    if (!status)
        *ret = cost;

    return status;
}

/* "32 x 64x64x64": channels, then z, y, x. */
static char *print_shape(struct arena *arena, struct shape shape)
{
    return arena_printf(arena, "%" PRId64 " x %" PRId64 "x%" PRId64 "x%" PRId64, shape.c, shape.d, shape.h, shape.w);
}

static char *print_sources(struct arena *arena, const struct network *network, const struct node *node)
{
    char *text = NULL;
    for (int k = 0; k < node->layer.n_src; k++) {
        int64_t value = node->src[k].value;
        const char *name = value ? network->nodes[value - 1].layer.name : "input";
        text = k ? arena_printf(arena, "%s + %s", text ? text : "", name) : arena_strdup(arena, name);
    }
    return text;
}

enum { PRINT_COLUMNS = 8 };

static enum status print_rows(FILE *file, struct network *network, struct error *error)
{
    static const char *const head[PRINT_COLUMNS] = {"#",      "name",  "type",       "from",
                                                    "source", "shape", "parameters", "GMAC"};
    struct arena *arena = &network->arena;
    int64_t n_cells = (network->n_layers + 1) * PRINT_COLUMNS;
    const char **cells = arena_alloc(arena, (size_t)n_cells, sizeof *cells);
    if (!cells)
        return error_memory(error, (size_t)n_cells * sizeof *cells, "layer table");
    memcpy(cells, head, sizeof head);

    for (int64_t i = 0; i < network->n_layers; i++) {
        const struct node *node = &network->nodes[i];
        const char **cell = cells + (i + 1) * PRINT_COLUMNS;
        cell[0] = arena_printf(arena, "%" PRId64, i);
        cell[1] = node->layer.name;
        cell[2] = node->layer.ops->config.type;
        cell[3] = print_sources(arena, network, node);
        cell[4] = print_shape(arena, node->written_src[0]);
        cell[5] = print_shape(arena, node->layer.dst.shape);
        cell[6] = node->n_written_params ? arena_printf(arena, "%" PRId64, node->n_written_params) : "-";
        cell[7] = node->macs > 0 ? arena_printf(arena, "%.3f", 1e-9 * node->macs) : "-";
    }

    for (int64_t i = 0; i < n_cells; i++)
        if (!cells[i])
            return error_memory(error, 64, "layer table");
    table_print(file, network->n_layers + 1, PRINT_COLUMNS, cells);
    return STATUS_OK;
}

/* 22865539 -> "22,865,539" */
static char *print_grouped(char text[32], int64_t n)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%" PRId64, n), out = 0;
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0)
            text[out++] = ',';
        text[out++] = digits[i];
    }
    text[out] = '\0';
    return text;
}

enum status network_print(FILE *file, const struct network_config *config, struct shape src, struct error *error)
{
    struct network_cost cost;
    struct params params = {0};
    struct network network = {0};
    int64_t recompute_bytes[RECOMPUTE_MODES];
    enum status status = network_cost(&cost, config, src, error);
    if (!status)
        status = network_cost_recompute(recompute_bytes, config, src, error);
    if (!status)
        status = network_graph(&network, config, &params, src, NETWORK_INFER, error);
    if (!status)
        status = print_rows(file, &network, error);
    network_done(&network);
    params_done(&params);
    if (status)
        return status;
    char total[32], trainable[32], shape[SHAPE_TEXT];
    fprintf(file, "network '%s' for an input of %s\n", config->name, shape_text(shape, src));
    fprintf(file, "parameters: %s, of which trainable: %s\n", print_grouped(total, cost.n_params),
            print_grouped(trainable, cost.n_trainable));
    fprintf(file, "forward: %.1f GMAC (%.1f GFLOP) as written\n", 1e-9 * cost.macs, 2e-9 * cost.macs);
    fprintf(file, "memory of activations: inference %.1f MB, training %.1f MB; parameters %.1f MB\n",
            1e-6 * (double)cost.infer_bytes, 1e-6 * (double)cost.train_bytes, 4e-6 * (double)cost.n_params);

    for (int r = 0; r < RECOMPUTE_MODES; r++)
        fprintf(file, "%s%s %.1f MB%s", r ? ", " : "training with recompute: ", network_recompute_names[r],
                1e-6 * (double)recompute_bytes[r], r == config->recompute ? " (chosen)" : "");
    fprintf(file, "\n");
    return STATUS_OK;
}
