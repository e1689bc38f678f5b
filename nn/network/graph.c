/* graph.c - from the YAML's list of layers to a checked graph with shapes. Test: tests/nn/test_network.c,
 * tests/nn/test_network_errors.c */
#include <inttypes.h>
#include <string.h>

#include "nn/engine/engine.h"
#include "nn/network/network_impl.h"

static const struct config_table *graph_layer_table(int index)
{
    const struct layer_ops *ops = layer_ops_at(index);
    return ops ? &ops->config : NULL;
}

const char *const network_precision_names[] = {"float32", "bfloat16", NULL};
const char *const network_recompute_names[] = {"nothing", "cheap", "most", NULL};

/* clang-format off */
static const struct config_field network_fields[] = {
    {.key = "name", .type = CONFIG_STRING, .offset = offsetof(struct network_config, name), .text = "network",
     .help = "for tables and plots"},
    {.key = "input_channels", .type = CONFIG_INT, .offset = offsetof(struct network_config, input_channels),
     .text = "1", .min = 1, .max = 1024,
     .help = "channels of the input: 1; 2 with a coarse prediction; 3 with a shape model and its deviation"},
    {.key = "patch_vox", .type = CONFIG_INT3, .offset = offsetof(struct network_config, patch_vox), .text = "128",
     .min = 1, .max = 1 << 20, .unit = "voxels",
     .help = "x, y, z: the input size that `info` prints for and training defaults to"},
    {.key = "winograd", .type = CONFIG_BOOL, .offset = offsetof(struct network_config, winograd), .text = "true",
     .help = "minimal filtering for convolutions where it is faster: up to 8 times fewer products, up to 3.4 "
             "times the rounding error"},
    {.key = "precision", .type = CONFIG_ENUM, .offset = offsetof(struct network_config, precision), .text = "float32",
     .names = network_precision_names, .help = "of the activations between layers and their gradients: bfloat16 "
             "halves their memory; sums, parameters, statistics and losses stay float32"},
    {.key = "recompute", .type = CONFIG_ENUM, .offset = offsetof(struct network_config, recompute), .text = "nothing",
     .names = network_recompute_names, .help = "training memory against time, same bits: outputs recomputed "
             "in backward; cheap: all but convolutions' and dense layers'; most: whatever lowers the memory"},
    {.key = "layers", .type = CONFIG_LIST, .offset = offsetof(struct network_config, layers),
     .variant = graph_layer_table, .required = true, .help = "from input to output"},
    {0}};
/* clang-format on */

/* clang-format off */
const struct config_table network_table = {
    .help = "A network: a list of layers, each reading the layer before it or those named by `from`.",
    .size = sizeof(struct network_config),
    .fields = network_fields};
/* clang-format on */

/* The value called `name` among those of the first n_layers, or -1. */
static int64_t graph_find(const struct network *network, int64_t n_layers, const char *name)
{
    if (strcmp(name, "input") == 0)
        return 0;
    for (int64_t i = 0; i < n_layers; i++)
        if (strcmp(network->nodes[i].layer.name, name) == 0)
            return i + 1;
    return -1;
}

static enum status graph_unknown_source(const struct network *network, const struct layer *layer, const char *name,
                                        struct error *error)
{
    const char **names = memory_zalloc((size_t)layer->index + 2, sizeof *names);
    if (!names)
        return error_memory(error, ((size_t)layer->index + 2) * sizeof *names, "layer names");
    names[0] = "input";
    for (int64_t i = 0; i < layer->index; i++)
        names[i + 1] = network->nodes[i].layer.name;
    const char *nearest = config_nearest(name, names);
    if (nearest)
        yaml_error(error, layer->node, "%s: from: no layer before it is called '%s' (did you mean '%s'?)", layer->name,
                   name, nearest);
    else
        yaml_error(error, layer->node, "%s: from: no layer before it is called '%s' (give that layer `name: %s`)",
                   layer->name, name, name);
    memory_free(names);
    return error->status;
}

static enum status graph_name(struct network *network, struct layer *layer, struct error *error)
{
    const struct layer_config *config = layer->config;
    layer->name = config->name ? config->name
                               : arena_printf(&network->arena, "%s_%" PRId64, layer->ops->config.type, layer->index);
    if (!layer->name)
        return error_memory(error, 64, "layer name");
    if (!layer->name[0] || strchr(layer->name, '/') || strchr(layer->name, '.'))
        return yaml_error(error, layer->node,
                          "name: '%s' must be neither empty nor hold '/' or '.' (weights are stored under it)",
                          layer->name);
    if (graph_find(network, layer->index, layer->name) >= 0)
        return yaml_error(error, layer->node, "name: '%s' is used twice (each layer needs its own)", layer->name);
    return STATUS_OK;
}

/* Reads `from`; nothing written means the layer before. */
static enum status graph_sources(struct network *network, struct node *node, struct error *error)
{
    struct layer *layer = &node->layer;
    const struct config_strings *from = &((const struct layer_config *)layer->config)->from;
    const struct layer_ops *ops = layer->ops;
    int64_t n = from->n ? from->n : 1;
    if (n < ops->min_src || n > ops->max_src)
        return yaml_error(error, layer->node, "%s: from: %" PRId64 " sources, %s takes %d to %d", layer->name, n,
                          ops->config.type, ops->min_src, ops->max_src);
    layer->n_src = (int)n;

    for (int64_t k = 0; k < n; k++) {
        int64_t value = from->n ? graph_find(network, layer->index, from->items[k]) : layer->index;
        if (value < 0)
            return graph_unknown_source(network, layer, from->items[k], error);
        node->src[k].value = value;
        network->values[value].n_uses++;
        node->written_src[k] = layer->src[k].shape = layer->d_src[k].shape = network->values[value].data.shape;
    }

    return STATUS_OK;
}

static enum status graph_shape(struct network *network, struct layer *layer, struct error *error)
{
    struct shape dst = {0};
    if (layer->ops->shape(layer, &dst, error))
        return error->status;
    if (dst.n < 1 || dst.c < 1 || dst.d < 1 || dst.h < 1 || dst.w < 1) {
        char text[SHAPE_TEXT];
        return yaml_error(error, layer->node, "%s: its output would be %s (a larger patch would fit)", layer->name,
                          shape_text(text, dst));
    }

    int64_t floats = tensor_floats(dst);
    if (floats < 0 || floats > INT64_MAX / (int64_t)sizeof(float))
        return yaml_error(error, layer->node, "%s: its output overflows 64 bits (a smaller patch or batch would fit)",
                          layer->name);
    layer->dst.shape = layer->d_dst.shape = dst;
    struct value *value = &network->values[layer->index + 1];
    value->data.shape = value->grad.shape = dst;
    return STATUS_OK;
}

/* While parameters are being added, their table moves. */
static void graph_point_at_params(struct node *node)
{
    for (int i = 0; i < node->layer.n_params && !node->layer.params->value; i++)
        node->layer.param[i] = &node->layer.params->items[node->first_param + i];
}

static enum status graph_declare(struct node *node, struct error *error)
{
    struct layer *layer = &node->layer;
    node->first_param = layer->params->n;
    if (layer->ops->declare && layer->ops->declare(layer, error))
        return error->status;
    graph_point_at_params(node);
    for (int i = 0; i < layer->n_params; i++)
        node->n_written_params += layer->param[i]->count;
    return STATUS_OK;
}

static enum status graph_layer(struct network *network, int64_t index, struct error *error)
{
    struct node *node = &network->nodes[index];
    struct layer *layer = &node->layer;
    const struct config_item *item = &network->config->layers.items[index];

    layer->ops = layer_ops_find(item->table->type);
    layer->index = index;
    layer->node = item->node;
    layer->config = item->value;
    layer->params = network->params;
    layer->src_scale = 1;
    layer->winograd = network->config->winograd;
    layer->state = arena_alloc(&network->arena, 1, layer->ops->state_size ? layer->ops->state_size : 1);
    if (!layer->state)
        return error_memory(error, layer->ops->state_size, "layer state");
    if (graph_name(network, layer, error) || graph_sources(network, node, error) ||
        graph_shape(network, layer, error) || graph_declare(node, error))
        return error->status;
    node->macs = layer->ops->macs ? layer->ops->macs(layer) : 0;
    return STATUS_OK;
}

static enum status graph_input(struct network *network, struct shape src, struct error *error)
{
    const struct network_config *config = network->config;
    if (src.c != config->input_channels)
        return error_set(error, STATUS_USAGE,
                         "network '%s': input of %" PRId64 " channels, it takes %" PRId64 " (input_channels)",
                         config->name, src.c, config->input_channels);
    int64_t floats = src.n > 0 && src.d > 0 && src.h > 0 && src.w > 0 ? tensor_floats(src) : -1;
    if (floats < 0 || floats > INT64_MAX / (int64_t)sizeof(float))
        return error_set(error, STATUS_USAGE,
                         "network '%s': an input of %" PRId64 " x %" PRId64 " channels x %" PRId64 "x%" PRId64
                         "x%" PRId64 " voxels is empty or overflows 64 bits (a smaller patch or batch would fit)",
                         config->name, src.n, src.c, src.d, src.h, src.w);
    network->values[0].data.shape = network->values[0].grad.shape = src;
    return STATUS_OK;
}

enum status network_graph(struct network *network, const struct network_config *config, struct params *params,
                          struct shape src, enum network_mode mode, struct error *error)
{
    int64_t n = config->layers.n;
    network->config = config;
    network->params = params;
    network->mode = mode;
    if (n < 1)
        return error_set(error, STATUS_USAGE, "network '%s': it has no layers", config->name);
    network->nodes = arena_alloc(&network->arena, (size_t)n, sizeof *network->nodes);
    network->values = arena_alloc(&network->arena, (size_t)n + 1, sizeof *network->values);
    network->backward_steps = arena_alloc(&network->arena, 2 * (size_t)n, sizeof *network->backward_steps);
    if (!network->nodes || !network->values || !network->backward_steps)
        return error_memory(error, (size_t)n * sizeof *network->nodes, "network graph");
    if (graph_input(network, src, error))
        return error->status;

    /* Layers in order, so that each finds its sources' shapes. */
    for (int64_t i = 0; i < n; i++) {
        network->n_layers = i + 1;
        if (graph_layer(network, i, error))
            return error_while(error, "planning network '%s'", config->name);
    }

    /* The parameter table has stopped growing: its entries stay where they are from now on. */
    for (int64_t i = 0; i < n; i++)
        graph_point_at_params(&network->nodes[i]);
    for (int64_t i = 0; i + 1 < n; i++)
        if (network->values[i + 1].n_uses == 0) {
            const struct layer *layer = &network->nodes[i].layer;
            return yaml_error(error, layer->node, "%s: no layer reads it (name it in a `from`, or remove it)",
                              layer->name);
        }

    return STATUS_OK;
}

/* Node `index` is a nearest upsampling with one reader that can upsample by itself: that reader now reads what it read.
 */
static void graph_absorb(struct network *network, int64_t index)
{
    struct node *node = &network->nodes[index];
    int64_t scale = node->layer.ops->scale ? node->layer.ops->scale(&node->layer) : 1;
    if (scale == 1 || network->values[index + 1].n_uses != 1)
        return;

    for (int64_t i = index + 1; i < network->n_layers; i++) {
        struct node *reader = &network->nodes[i];
        const struct layer_ops *ops = reader->layer.ops;
        if (reader->src[0].value != index + 1 || !ops->can_fuse_upsample ||
            !ops->can_fuse_upsample(&reader->layer, scale))
            continue;
        reader->src[0].value = node->src[0].value;
        reader->layer.src[0].shape = reader->layer.d_src[0].shape = node->layer.src[0].shape;
        reader->layer.src_scale = scale;
        network->values[index + 1].n_uses = 0;
        node->skipped = true;
        return;
    }
}

/* Node `index` is a (leaky) ReLU, alone behind a layer that does it in the same pass: its readers now read that layer.
 */
static void graph_absorb_activation(struct network *network, int64_t index)
{
    struct node *node = &network->nodes[index];
    const int64_t source = node->src[0].value, made = index + 1;
    if (!node->layer.ops->slope || source == 0 || network->values[source].n_uses != 1 || made == network->n_layers)
        return;
    struct layer *maker = &network->nodes[source - 1].layer;
    if (network->nodes[source - 1].skipped || !maker->ops->can_fuse_activation ||
        !maker->ops->can_fuse_activation(maker))
        return;
    maker->activation = &node->layer;
    node->skipped = true;

    /* Its readers read the maker's value from now on. */
    for (int64_t i = index + 1; i < network->n_layers; i++)
        for (int k = 0; k < network->nodes[i].layer.n_src; k++)
            if (network->nodes[i].src[k].value == made)
                network->nodes[i].src[k].value = source;
    network->values[source].n_uses = network->values[made].n_uses;
    network->values[made].n_uses = 0;
}

/* A value wants a gradient where something before it learns. Layers train where their output wants one. */
static void graph_want_gradients(struct network *network)
{
    network->values[0].wants_grad = network->mode == NETWORK_TRAIN_SRC;
    for (int64_t i = 0; i < network->n_layers; i++) {
        struct layer *layer = &network->nodes[i].layer;
        struct value *dst = &network->values[i + 1];
        for (int k = 0; k < layer->n_src; k++) {
            layer->needs_d_src[k] =
                network->mode != NETWORK_INFER && network->values[network->nodes[i].src[k].value].wants_grad;
            dst->wants_grad |= layer->needs_d_src[k];
        }
        for (int k = 0; k < layer->n_params; k++)
            dst->wants_grad |= network->mode != NETWORK_INFER && layer->param[k]->trainable && !layer->frozen;
        layer->training = dst->wants_grad;
    }
}

static bool graph_may_overwrite(const struct network *network, const struct node *node)
{
    const struct layer *layer = &node->layer;
    int64_t source = node->src[0].value;
    bool training = network->mode != NETWORK_INFER;
    if (layer->ops->in_place == LAYER_IN_PLACE_NEVER || (training && layer->ops->in_place == LAYER_IN_PLACE_INFER))
        return false;
    if (network->values[source].n_uses != 1 || !shape_equal(layer->src[0].shape, layer->dst.shape))
        return false;
    return source == 0 || !training || !(network->nodes[source - 1].layer.ops->keeps & LAYER_KEEPS_DST);
}

/* Whether the concat at `index` reads `value` once and last: then its gradient is written there first, and added to by
 * the others. */
static bool graph_reads_last(const struct network *network, int64_t index, int64_t value)
{
    int64_t reads = 0;
    for (int64_t i = index; i < network->n_layers; i++)
        for (int k = 0; k < network->nodes[i].layer.n_src && !network->nodes[i].skipped; k++)
            reads += network->nodes[i].src[k].value == value;
    return reads == 1;
}

/* Sources of a concat that are whole blocks of its dst are made there, in place of a copy, and so are their gradients.
 */
static void graph_join(struct network *network, int64_t index)
{
    const struct node *node = &network->nodes[index];
    const struct shape dst = node->layer.dst.shape;
    const int64_t block_c = tensor_channel_block(dst.c), made = index + 1;
    int64_t first = 0;

    for (int64_t i = 0; i <= network->n_layers; i++)
        if (i != made && network->values[i].shares == made)
            return; /* overwritten */
    for (int k = 0; k < node->layer.n_src; first += node->layer.src[k++].shape.c) {
        int64_t value = node->src[k].value, owner = network->values[value].shares, c = node->layer.src[k].shape.c;
        bool blocks = dst.n == 1 && block_c > 1 && first % block_c == 0 && c % block_c == 0;
        if (!blocks || owner == 0 || owner > value || !graph_reads_last(network, index, value))
            continue;
        for (int64_t i = 0; i < made; i++)
            if (network->values[i].shares == owner) {
                network->values[i].shares = made;
                network->values[i].part += first * shape_voxels(dst);
            }
    }
}

/* What is recomputed needs buffers of its own. */
static bool graph_may_join(const struct network *network)
{
    return !network->options.no_in_place &&
           (network->mode == NETWORK_INFER || network->config->recompute == RECOMPUTE_NOTHING);
}

void network_graph_simplify(struct network *network)
{
    for (int64_t i = 0; i < network->n_layers && !network->options.no_absorb; i++)
        graph_absorb(network, i);
    for (int64_t i = 0; i < network->n_layers && !network->options.no_absorb; i++)
        graph_absorb_activation(network, i);
    for (int64_t i = 0; i < network->n_layers; i++)
        layer_attach(&network->nodes[i].layer);
    graph_want_gradients(network);
    for (int64_t i = 0; i <= network->n_layers; i++)
        network->values[i].shares = i;

    /* First the layers that may overwrite their source, then the concats that their sources are made in. */
    for (int64_t i = 0; i < network->n_layers && !network->options.no_in_place; i++) {
        const struct node *node = &network->nodes[i];
        if (!node->skipped && graph_may_overwrite(network, node))
            network->values[i + 1].shares = network->values[node->src[0].value].shares;
    }

    for (int64_t i = 0; i < network->n_layers && graph_may_join(network); i++)
        if (network->nodes[i].layer.ops->concat_in_place)
            graph_join(network, i);
    network_precision_assign(network);
}

/* Node `index` is a norm: the layer before it may sum on the way, the one behind it may normalise. */
static void graph_pair_norm(struct network *network, int64_t index)
{
    struct node *node = &network->nodes[index];
    const struct value *src = &network->values[node->src[0].value], *dst = &network->values[index + 1];
    struct node *maker = node->src[0].value > 0 ? &network->nodes[node->src[0].value - 1] : NULL;
    if (maker && node->layer.ops->needs_src_stats(&node->layer) && maker->layer.ops->stats_bytes &&
        maker->layer.ops->stats_bytes(&maker->layer))
        maker->stats_reader = index;
    if (network->mode != NETWORK_INFER || dst->n_uses != 1 || dst->shares != src->shares || dst->part != src->part)
        return;
    for (int64_t i = index + 1; i < network->n_layers; i++) {
        const struct node *reader = &network->nodes[i];
        if (!reader->skipped && reader->src[0].value == index + 1 && reader->layer.ops->can_fuse_norm &&
            reader->layer.ops->can_fuse_norm(&reader->layer))
            node->affine_reader = i;
    }
}

void network_graph_pair(struct network *network)
{
    for (int64_t i = 0; i < network->n_layers && !network->options.no_absorb; i++)
        if (!network->nodes[i].skipped && network->nodes[i].layer.ops->needs_src_stats)
            graph_pair_norm(network, i);
}
