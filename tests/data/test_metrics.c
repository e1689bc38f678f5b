/* Against scipy's results (scripts/golden/metrics_reference.py), and where masks are empty. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "data/metrics.h"
#include "tests/check.h"

enum { N_IN = 30, N_OUT = 12 };

struct golden {
    double in[N_IN], out[N_OUT];
    int64_t dim[3];
    double spacing[3];
    uint8_t *truth, *predicted, *defective;
};

static bool shell_has(const double *shell, const double *box, const int64_t p[3])
{
    double squared = 0;
    for (int a = 0; a < 3; a++)
        squared += ((double)p[a] - shell[a]) * ((double)p[a] - shell[a]);
    for (int a = 0; a < 3 && box; a++)
        if ((double)p[a] < box[2 * a] || (double)p[a] >= box[2 * a + 1])
            return false;
    return squared >= shell[3] * shell[3] && squared <= shell[4] * shell[4];
}

static bool strewn_has(int64_t i, double one_in, double seed)
{
    uint32_t value = ((uint32_t)i * 2654435761U + (uint32_t)seed) >> 7;
    return one_in > 0 && value % (uint32_t)one_in == 0;
}

static bool golden_next(struct golden *golden, FILE *file)
{
    char line[1024];

    do {
        if (!fgets(line, sizeof line, file))
            return false;
    } while (line[0] == '#');
    char *at = line;
    int used;

    for (int i = 0; i < N_IN; i++, at += used)
        if (sscanf(at, "%lf%n", &golden->in[i], &used) != 1)
            return false;
    at = strchr(at, '|') + 1;

    for (int i = 0; i < N_OUT; i++, at += used)
        if (sscanf(at, "%lf%n", &golden->out[i], &used) != 1)
            return false;

    for (int a = 0; a < 3; a++) {
        golden->dim[a] = (int64_t)golden->in[a];
        golden->spacing[a] = golden->in[3 + a];
    }

    return true;
}

static void golden_draw(struct golden *golden)
{
    const int64_t *dim = golden->dim;
    const double *in = golden->in;
    size_t n = (size_t)(dim[0] * dim[1] * dim[2]);

    golden->truth = memory_alloc(n, 1);
    golden->predicted = memory_alloc(n, 1);
    golden->defective = memory_alloc(n, 1);
    int64_t i = 0;

    for (int64_t z = 0; z < dim[2]; z++)
        for (int64_t y = 0; y < dim[1]; y++)
            for (int64_t x = 0; x < dim[0]; x++, i++) {
                const int64_t p[3] = {x, y, z};
                bool skull = shell_has(in + 6, NULL, p);
                golden->truth[i] = shell_has(in + 6, in + 11, p);
                golden->defective[i] = skull && !golden->truth[i];
                golden->predicted[i] =
                    shell_has(in + 17, in + 22, p) || (strewn_has(i, in[28], in[29]) && !golden->defective[i]);
            }
}

static void golden_done(struct golden *golden)
{
    memory_free(golden->truth);
    memory_free(golden->predicted);
    memory_free(golden->defective);
}

static void test_golden(void)
{
    FILE *file = fopen("tests/data/golden/metrics.txt", "r");
    struct error error = {0};
    int cases = 0;

    if (!CHECK(file != NULL))
        return;

    for (struct golden golden; golden_next(&golden, file); cases++) {
        struct metrics metrics;
        golden_draw(&golden);
        CHECK_OK(metrics_compare(&metrics, golden.truth, golden.predicted, golden.defective, golden.dim, golden.spacing,
                                 &error),
                 &error);
        for (int c = 0; metrics_columns[c].name; c++)
            if (!check_near(metrics_columns[c].value(&metrics), golden.out[c], 1e-9, metrics_columns[c].name, __FILE__,
                            __LINE__))
                fprintf(stderr, "    in case %d\n", cases);
        CHECK_INT(metrics.truth_vox, (int64_t)golden.out[10]);
        CHECK_INT(metrics.predicted_vox, (int64_t)golden.out[11]);
        golden_done(&golden);
    }

    CHECK_INT(cases, 7);
    fclose(file);
}

static void test_threads(void)
{
    FILE *file = fopen("tests/data/golden/metrics.txt", "r");
    struct error error = {0};
    struct golden golden;
    struct metrics one, two;
    int threads = parallel_threads();

    if (!CHECK(file && golden_next(&golden, file)))
        return;
    fclose(file);
    golden_draw(&golden);
    memset(&one, 0, sizeof one);
    memset(&two, 0, sizeof two);
    parallel_set_threads(1);
    CHECK_OK(
        metrics_compare(&one, golden.truth, golden.predicted, golden.defective, golden.dim, golden.spacing, &error),
        &error);
    parallel_set_threads(3);
    CHECK_OK(
        metrics_compare(&two, golden.truth, golden.predicted, golden.defective, golden.dim, golden.spacing, &error),
        &error);
    parallel_set_threads(threads);
    for (int c = 0; metrics_columns[c].name; c++)
        CHECK(metrics_columns[c].value(&one) == metrics_columns[c].value(&two));
    golden_done(&golden);
}

static void test_empty(void)
{
    const int64_t dim[3] = {5, 4, 3};
    const double spacing[3] = {1, 1, 1};
    uint8_t none[60] = {0}, some[60] = {0};
    struct error error = {0};
    struct metrics metrics;

    some[31] = some[32] = 1;

    CHECK_OK(metrics_compare(&metrics, none, none, some, dim, spacing, &error), &error);
    CHECK(metrics.both_empty && !metrics.failed);
    CHECK_NEAR(metrics.dsc, 1, 0);
    CHECK_NEAR(metrics.bdsc_mm, 1, 0);
    CHECK_NEAR(metrics.hd95_mm, 0, 0);
    CHECK_NEAR(metrics.volume_error, 0, 0);

    CHECK_OK(metrics_compare(&metrics, some, none, some, dim, spacing, &error), &error);
    CHECK(metrics.failed && !metrics.both_empty);
    CHECK_NEAR(metrics.dsc, 0, 0);
    CHECK(isnan(metrics.hd95_mm) && isnan(metrics.hd_mm) && isnan(metrics.assd_mm) && isnan(metrics.precision));
    CHECK_NEAR(metrics.recall, 0, 0);
    CHECK_NEAR(metrics.volume_error, -1, 0);

    CHECK_OK(metrics_compare(&metrics, none, some, NULL, dim, spacing, &error), &error);
    CHECK(metrics.failed && isnan(metrics.bdsc_mm) && isnan(metrics.volume_error) && isnan(metrics.recall));
    CHECK_NEAR(metrics.precision, 0, 0);

    CHECK_OK(metrics_compare(&metrics, some, some, NULL, dim, spacing, &error), &error);
    CHECK(!metrics.failed && isnan(metrics.bdsc_mm) && isnan(metrics.bdsc_vox));
    CHECK_NEAR(metrics.dsc, 1, 0);
    CHECK_NEAR(metrics.hd_mm, 0, 0);
    CHECK_NEAR(metrics.nsd_1mm, 1, 0);

    CHECK_OK(metrics_compare(&metrics, some, some, none, dim, spacing, &error),
             &error); /* no bone near: as the reference, 0 */
    CHECK_NEAR(metrics.bdsc_mm, 0, 0);
}

static enum status compare_two(void *unused, struct error *error)
{
    (void)unused;
    const int64_t dim[3] = {5, 4, 3};
    const double spacing[3] = {1, 1, 1};
    uint8_t a[60] = {0}, b[60] = {0};
    struct metrics metrics;
    a[7] = a[8] = b[8] = b[9] = 1;
    return metrics_compare(&metrics, a, b, a, dim, spacing, error);
}

static void test_memory_out(void)
{
    check_allocation_failures(compare_two, NULL, 11);
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {{"golden", test_golden},
                                       {"threads", test_threads},
                                       {"empty", test_empty},
                                       {"memory_out", test_memory_out},
                                       {0}};
    return check_main(argc, argv, tests);
}
