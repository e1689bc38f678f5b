/* What a feature study measures: the layers chosen, the patch, correlations and projections of networks whose maps are
 * known. */
#include <math.h>
#include <string.h>

#include "infer/features.h"
#include "infer/restorer.h"
#include "tests/check.h"
#include "tests/infer/fixture.h"

/* Map 0 is the skull, map 1 its negative; then a stride, then the answer: 1 - the mean of map 0. */
static const char known[] = "patch_vox: 8\n"
                            "layers:\n"
                            "  - { name: two, type: conv, filters: 2, kernel: 1 }\n"
                            "  - { name: half, type: avg_pool }\n"
                            "  - { name: up, type: upsample }\n"
                            "  - { name: head, type: conv, filters: 1, kernel: 1 }\n";

static void set(struct fixture_network *network, const char *name, int n, const float *values)
{
    memcpy(network->params.value + params_find(&network->params, name)->offset, values, (size_t)n * sizeof *values);
}

static struct restorer *known_restorer(struct fixture_network *network)
{
    struct error error = {0};
    struct restorer *restorer = NULL;
    const struct restore_config config = {
        .task = TASK_IMPLANT, .window = {.scan = SCAN_GRID, .patch_vox = {8, 8, 8}, .batch = 1}, .threshold = 0.5};
    fixture_network(network, known, 1);
    set(network, "two.w", 2, (const float[]){1, -1});
    set(network, "two.b", 2, (const float[]){0, 0.25F});
    set(network, "head.w", 2, (const float[]){-1, 0});
    set(network, "head.b", 1, (const float[]){1});
    CHECK_OK(restorer_new(&restorer, &network->config, &network->params, &config, NULL, &error), &error);
    return restorer;
}

/* A block of bone with a missing part at its upper end: the patch is cut around what is missing. */
static void test_known_maps(void)
{
    struct error error = {0};
    struct fixture_network network;
    struct features features;
    struct volume skull = fixture_volume(24, 20, 18, 1, 1, 1), implant = fixture_volume(24, 20, 18, 1, 1, 1);
    fixture_box(&skull, (struct box){{10, 8, 2}, {14, 16, 10}}, 1);
    fixture_box(&implant, (struct box){{10, 8, 10}, {14, 12, 14}}, 1);
    struct restorer *restorer = known_restorer(&network);
    CHECK_OK(features_open(&features, restorer, &(struct config_strings){0}, &error), &error);
    CHECK_INT(features.n_layers, 3); /* two, half, head: the last of each resolution */
    CHECK_TEXT(features.layers[0].name, "two");
    CHECK_TEXT(features.layers[1].name, "half");
    CHECK_TEXT(features.layers[2].name, "head");
    CHECK_OK(features_look(&features, &skull, &implant, &error), &error);
    double missing = 0;
    for (int i = 0; i < 512; i++)
        missing += features.missing[i];
    CHECK_NEAR(missing, 64, 0); /* all of it */
    CHECK_NEAR(features.layers[0].r_bone[0], 1, 1e-6);
    CHECK_NEAR(features.layers[0].r_bone[1], -1, 1e-6);
    CHECK_INT(features.layers[1].size[0], 4);
    CHECK_NEAR(features.layers[1].r_bone[0], 1, 1e-6);
    CHECK_NEAR(features.layers[0].r_missing[0], feature_correlation(features.src, features.missing, 512), 1e-12);
    CHECK(features.layers[0].r_missing[0] < 0 && features.layers[2].r_missing[0] > 0);
    features_close(&features);
    restorer_free(restorer);
    fixture_network_done(&network);
    volume_done(&skull);
    volume_done(&implant);
}

static void test_layers_by_name(void)
{
    struct error error = {0}, typo = {0}, nothing = {0};
    struct fixture_network network;
    struct features features;
    const char *up[] = {"up"}, *wrong[] = {"haed"};
    struct restorer *restorer = known_restorer(&network), *builtin = NULL;
    CHECK_OK(features_open(&features, restorer, &(struct config_strings){1, up}, &error), &error);
    CHECK_INT(features.n_layers, 1);
    CHECK_INT(features.layers[0].n_maps, 2);
    CHECK_INT(features.layers[0].size[2], 8);
    features_close(&features);
    CHECK_FAILS(features_open(&features, restorer, &(struct config_strings){1, wrong}, &typo), &typo, STATUS_USAGE,
                "did you mean 'head'");
    CHECK_OK(restorer_open(&builtin, "builtin:mirror", NULL, &error), &error);
    CHECK_FAILS(features_open(&features, builtin, &(struct config_strings){0}, &nothing), &nothing, STATUS_USAGE,
                "no network");
    restorer_free(builtin);
    restorer_free(restorer);
    fixture_network_done(&network);
}

static void test_projections(void)
{
    const int64_t size[3] = {3, 2, 4};
    float map[24], out[12];
    for (int i = 0; i < 24; i++)
        map[i] = (float)(i * i % 17);
    for (int axis = 0; axis < 3; axis++)
        for (int how = PROJECT_MEAN; how <= PROJECT_SLICE; how++) {
            feature_project(out, map, size, axis, (enum projection)how);
            const int u = axis == 0 ? 1 : 0, v = axis == 2 ? 1 : 2;
            for (int64_t j = 0; j < size[v]; j++)
                for (int64_t i = 0; i < size[u]; i++) {
                    double mean = 0, most = -1, middle = 0;
                    for (int64_t k = 0; k < size[axis]; k++) {
                        int64_t at[3];
                        at[axis] = k;
                        at[u] = i;
                        at[v] = j;
                        const double value = map[(at[2] * 2 + at[1]) * 3 + at[0]];
                        mean += value / (double)size[axis];
                        most = fmax(most, value);
                        middle = k == size[axis] / 2 ? value : middle;
                    }
                    CHECK_NEAR(out[j * size[u] + i],
                               how == PROJECT_MEAN  ? mean
                               : how == PROJECT_MAX ? most
                                                    : middle,
                               1e-5);
                }
        }
}

static void test_correlation(void)
{
    const float a[] = {1, 2, 3, 4}, b[] = {2, 4, 6, 8}, c[] = {1, -1, -1, 1}, flat[] = {5, 5, 5, 5};
    CHECK_NEAR(feature_correlation(a, b, 4), 1, 1e-12);
    CHECK_NEAR(feature_correlation(a, c, 4), 0, 1e-12);
    CHECK_NEAR(feature_correlation(a, flat, 4), 0, 0);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"known_maps", test_known_maps},
                                       {"layers_by_name", test_layers_by_name},
                                       {"projections", test_projections},
                                       {"correlation", test_correlation},
                                       {0}};
    return check_main(argc, argv, tests);
}
