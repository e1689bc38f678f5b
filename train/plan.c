/* plan.c - what a plan chooses, and the recipe it writes; see plan.h. Test: tests/train/test_training_plan.c */
#include "train/plan.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/configs.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "shape/fit.h"
#include "train/budget.h"
#include "train/environment.h"

/* Steps: so many for each training head, within bounds. The network of the shipped recipe was trained by 150 a head. */
enum { STEPS_PER_HEAD = 150, STEPS_MIN = 2000, STEPS_MAX = 20000, STEPS_OF_USE = 500, VALIDATIONS = 6, CASES_MAX = 8 };
enum { SHAPE_TRIALS_MIN = 24 }; /* predictions that a fit makes of few heads */
static const double SHARE_OF_HOURS = 0.95, SHARE_OF_VALIDATION = 0.1, SPACING_LEAST_MM = 1, SPACING_MOST_MM = 2;

/* From small to large. The standard network is the one of width 1 and 64 voxels. */
static const struct plan_candidate {
    double width;
    int64_t patch_vox;
} candidates[] = {{0.5, 48}, {0.5, 64}, {1, 64}, {1.5, 64}, {1.5, 80}, {2, 96}};
enum { N_CANDIDATES = sizeof candidates / sizeof *candidates, STANDARD = 2 };

/* ---- the set ---- */

static int plan_compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the values. */
static double plan_median(double *values, int64_t n)
{
    if (n == 0)
        return 0;
    qsort(values, (size_t)n, sizeof *values, plan_compare);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static double plan_axis_mm(const struct grid *grid, int a)
{
    return sqrt(grid->axis[a][0] * grid->axis[a][0] + grid->axis[a][1] * grid->axis[a][1] +
                grid->axis[a][2] * grid->axis[a][2]);
}

/* The longest side of a box of voxels, in mm. */
static double plan_box_mm(const struct grid *grid, const struct box *box)
{
    double longest = 0;
    for (int a = 0; a < 3; a++)
        longest = fmax(longest, (double)(box->hi[a] - box->lo[a]) * plan_axis_mm(grid, a));
    return longest;
}

enum status plan_look(struct plan_set *ret, const char *path, struct error *error)
{
    struct dataset *set;
    struct plan_set seen = {0};
    if (dataset_open(&set, path, error))
        return error->status;

    const int64_t n = dataset_n_cases(set);
    int64_t n_boxes = 0;
    for (int64_t i = 0; i < n; i++)
        n_boxes += dataset_case(set, i)->n_implants;
    double *spacings = memory_alloc((size_t)(n + n_boxes), sizeof *spacings);
    if (!spacings) {
        dataset_close(set);
        return error_memory(error, (size_t)(n + n_boxes) * sizeof *spacings, "the plan");
    }
    double *boxes = spacings + n;

    seen.n_defective = dataset_n_defective(set);
    for (int64_t i = 0; i < n; i++) {
        const struct dataset_case *item = dataset_case(set, i);
        seen.n[item->split]++;
        for (int64_t j = 0; j < item->n_implants; j++)
            boxes[seen.n_implants++] = plan_box_mm(&item->grid, &item->implant_boxes[j]);
        spacings[i] = 0;
        for (int a = 0; a < 3; a++) {
            spacings[i] = fmax(spacings[i], plan_axis_mm(&item->grid, a));
            seen.largest[a] = item->grid.dim[a] > seen.largest[a] ? item->grid.dim[a] : seen.largest[a];
        }
    }
    seen.spacing_mm = plan_median(spacings, n);
    seen.implant_mm = plan_median(boxes, seen.n_implants);

    memory_free(spacings);
    dataset_close(set);
    *ret = seen;
    return STATUS_OK;
}

/* ---- the choice ---- */

/* Filters of every layer that has at least eight times width; multiples of eight keep whole vectors busy. */
static void plan_widen(struct network_config *network, double width)
{
    enum { BLOCK = 8 };
    for (int64_t i = 0; i < network->layers.n; i++)
        for (const struct config_field *field = network->layers.items[i].table->fields; field && field->key; field++) {
            if (field->type != CONFIG_INT || strcmp(field->key, "filters") != 0)
                continue;
            int64_t *filters = (int64_t *)((char *)network->layers.items[i].value + field->offset);
            if (*filters >= BLOCK)
                *filters = BLOCK * (int64_t)fmax(1, round(width * (double)*filters / BLOCK));
        }
}

enum status plan_recipe(struct recipe *ret, const struct plan *plan, const struct plan_request *request,
                        const char *path, struct arena *arena, struct error *error)
{
    char *sets[] = {arena_printf(arena, "data.set=%s", request->set),
                    arena_printf(arena, "data.spacing_mm=%g", plan->spacing_mm),
                    arena_printf(arena, "data.patch_vox=%" PRId64, plan->patch_vox),
                    arena_printf(arena, "train.steps=%" PRId64, plan->steps),
                    arena_printf(arena, "train.validate_every=%" PRId64,
                                 plan->validations ? (plan->steps + plan->validations - 1) / plan->validations : 0),
                    arena_printf(arena, "train.validate_cases=%" PRId64, plan->validation_cases),
                    arena_printf(arena, "train.threads=%" PRId64, request->threads)};
    enum { N_SETS = sizeof sets / sizeof *sets };
    for (int i = 0; i < N_SETS; i++)
        if (!sets[i])
            return error_memory(error, strlen(request->set), "the plan");
    if (recipe_read(ret, path, N_SETS, sets, arena, error))
        return error->status;
    plan_widen(&ret->network, plan->width);
    return STATUS_OK;
}

/* Products and memory of a choice. */
static enum status plan_cost(double *ret_macs, int64_t *ret_bytes, const struct plan *plan,
                             const struct plan_request *request, const char *path, struct error *error)
{
    struct arena arena = {0};
    struct recipe recipe;
    struct network_cost cost;
    struct budget budget;
    enum status status = plan_recipe(&recipe, plan, request, path, &arena, error);
    if (!status)
        status = network_cost(&cost, &recipe.network, recipe_shape(&recipe, 1), error);
    if (!status)
        status = budget_estimate(&budget, &recipe, plan->set.largest, error);
    arena_done(&arena);
    if (status)
        return status;
    *ret_macs = cost.macs;
    *ret_bytes = budget.total_bytes + environment_resident_bytes();
    return STATUS_OK;
}

/* Down to two figures: 7384 -> 7300. */
static int64_t plan_round(double steps)
{
    const double unit = steps < 100 ? 1 : pow(10, floor(log10(steps)) - 1);
    return (int64_t)(floor(steps / unit) * unit);
}

static struct plan plan_start(const struct plan_set *set, const struct plan_speed *speed)
{
    struct plan plan = {.set = *set, .steps = STEPS_MIN, .width = 1, .patch_vox = candidates[STANDARD].patch_vox};
    plan.has_network = set->n[SPLIT_TRAIN] >= PLAN_NETWORK_HEADS_MIN;
    plan.shape_s = speed->shape_head_s * fmax(SHAPE_TRIALS_MIN, (double)(set->n[SPLIT_TRAIN] + set->n_defective));
    plan.total_s = plan.shape_s;
    /* A grid finer than two thirds of the slices' distance holds nothing new */
    plan.spacing_mm = fmin(SPACING_MOST_MM, fmax(SPACING_LEAST_MM, round(set->spacing_mm / 1.5 * 4) / 4));
    plan.validation_cases = set->n[SPLIT_VAL] < CASES_MAX ? set->n[SPLIT_VAL] : CASES_MAX;
    plan.validations = plan.validation_cases > 0 ? VALIDATIONS : 0;
    return plan;
}

/* Seconds that are left for steps; validations take no more than their share. */
static double plan_left_s(struct plan *plan, double hours, const struct plan_speed *speed)
{
    const double left_s = SHARE_OF_HOURS * 3600 * hours - plan->shape_s;
    double each_s = speed->validation_s * (double)plan->validations;
    while (plan->validation_cases > 1 && each_s * (double)plan->validation_cases > SHARE_OF_VALIDATION * left_s)
        plan->validation_cases--;
    return left_s - each_s * (double)plan->validation_cases;
}

enum status plan_choose(struct plan *ret, const struct plan_request *request, const struct plan_set *set,
                        const struct plan_speed *speed, const char *path, struct error *error)
{
    struct plan plan = plan_start(set, speed);
    double standard_macs = 0, small_macs = 0, macs = 0;
    if (set->n[SPLIT_TRAIN] + set->n_defective < FIT_HEADS_MIN)
        return error_set(error, STATUS_USAGE, "%s: %" PRId64 " training heads (a shape model needs %d)", request->set,
                         set->n[SPLIT_TRAIN] + set->n_defective, FIT_HEADS_MIN);
    *ret = plan;
    if (!plan.has_network)
        return STATUS_OK;
    if (plan_cost(&standard_macs, &plan.memory_bytes, &plan, request, path, error))
        return error->status;

    const double left_s = plan_left_s(&plan, request->hours, speed);
    const double wanted = fmin(STEPS_MAX, fmax(STEPS_MIN, STEPS_PER_HEAD * (double)set->n[SPLIT_TRAIN]));
    bool found = false;
    int64_t least_bytes = 0;

    /* The largest that fits the memory and can take all steps wanted; else the smallest that fits */
    for (int i = 0; i < N_CANDIDATES; i++) {
        struct plan tried = plan;
        tried.width = candidates[i].width;
        tried.patch_vox = candidates[i].patch_vox;
        if (plan_cost(&macs, &tried.memory_bytes, &tried, request, path, error))
            return error->status;
        least_bytes = i == 0 ? tried.memory_bytes : least_bytes;
        small_macs = i == 0 ? macs : small_macs;
        tried.step_s = speed->small_step_s +
                       (speed->step_s - speed->small_step_s) * (macs - small_macs) / (standard_macs - small_macs);
        if ((request->memory_bytes >= 0 && tried.memory_bytes > request->memory_bytes) ||
            (found && wanted * tried.step_s > left_s))
            continue;
        tried.steps = plan_round(fmin(wanted * (i + 1 == N_CANDIDATES ? 2 : 1.5), left_s / tried.step_s));
        *ret = tried;
        found = true;
    }
    if (!found)
        return error_set(error, STATUS_USAGE,
                         "--memory: the smallest network takes %.1f GB (%.1f GB allowed; a coarser set takes less: "
                         "calvaria pack --spacing-mm)",
                         1e-9 * (double)least_bytes, 1e-9 * (double)request->memory_bytes);

    ret->has_network = ret->steps >= STEPS_OF_USE;
    if (ret->has_network)
        ret->total_s +=
            (double)ret->steps * ret->step_s + speed->validation_s * (double)(ret->validations * ret->validation_cases);
    return STATUS_OK;
}

/* ---- the recipe ---- */

/* The heads and what they look like, as a comment. */
static void plan_put_set(FILE *file, const struct plan *plan, const struct plan_request *request)
{
    const struct plan_set *set = &plan->set;
    fprintf(file, "# Planned for %s: %" PRId64 " heads to train, %" PRId64 " to validate, %" PRId64 " to test",
            request->set, set->n[SPLIT_TRAIN], set->n[SPLIT_VAL], set->n[SPLIT_TEST]);
    if (set->n_defective)
        fprintf(file, ", %" PRId64 " with a hole (for the shape model)", set->n_defective);
    fprintf(file, ".\n# Grids of up to %" PRId64 " x %" PRId64 " x %" PRId64 " voxels; coarsest axis %.2f mm (median).",
            set->largest[0], set->largest[1], set->largest[2], set->spacing_mm);
    if (set->n_implants)
        fprintf(file, " %" PRId64 " stored defects, %.0f mm long (median).", set->n_implants, set->implant_mm);
    fputc('\n', file);
}

static void plan_put_time(FILE *file, const struct plan *plan, const struct plan_request *request)
{
    fprintf(file, "# %.2g hours are allowed. Estimated: %.2g hours in all, of which the shape model %.2g",
            request->hours, plan->total_s / 3600, plan->shape_s / 3600);
    if (plan->has_network)
        fprintf(file, "; %.2g s a step. Memory %.1f GB", plan->step_s, 1e-9 * (double)plan->memory_bytes);
    fputs(".\n", file);
}

static const char *plan_network_reason(const struct plan *plan)
{
    if (plan->set.n[SPLIT_TRAIN] < PLAN_NETWORK_HEADS_MIN)
        return "too few heads for a network";
    return "too few hours for a network: fewer steps than are of use";
}

/* The network's layers in another width, under the stage's key. */
static bool plan_put_network(FILE *file, const struct recipe *recipe)
{
    char *text = config_dump_text(&network_table, &recipe->network);
    if (!text)
        return false;
    fputs("    network:\n", file);
    for (const char *line = text; *line; line += line[strcspn(line, "\n")] ? strcspn(line, "\n") + 1 : strlen(line))
        fprintf(file, "      %.*s\n", (int)strcspn(line, "\n"), line);
    memory_free(text);
    return true;
}

static bool plan_put_fine(FILE *file, const struct plan *plan, const struct recipe *recipe, const char *path)
{
    fprintf(file,
            "\n  # The network corrects the shape model where bone is missing.\n"
            "  - name: fine\n    extends: \"%s\"\n    coarse: shape\n    data:\n",
            path);
    fprintf(file, "      spacing_mm: %g            # %s\n", plan->spacing_mm,
            plan->spacing_mm > SPACING_LEAST_MM ? "two thirds of the slices' distance: a finer grid holds nothing new"
                                                : "the finest that was of use on fine scans");
    fprintf(file,
            "      patch_vox: [%" PRId64 ", %" PRId64 ", %" PRId64 "]  # %.0f mm: bone on all sides of most edges\n",
            plan->patch_vox, plan->patch_vox, plan->patch_vox, (double)plan->patch_vox * plan->spacing_mm);
    fprintf(file,
            "    train:\n      steps: %" PRId64 "           # %d for each head are wanted, at least %d\n"
            "      batch: 1               # more steps teach more than larger batches\n",
            plan->steps, STEPS_PER_HEAD, STEPS_MIN);
    if (recipe->train.threads > 0)
        fprintf(file, "      threads: %" PRId64 "             # as the plan was measured\n", recipe->train.threads);
    if (plan->validations)
        fprintf(file,
                "      validate_every: %" PRId64 "   # %" PRId64 " times\n"
                "      validate_cases: %" PRId64 "      # at most a tenth of the time\n",
                (plan->steps + plan->validations - 1) / plan->validations, plan->validations, plan->validation_cases);
    else
        fputs("      validate_every: 0      # no head is left to validate: the last step is kept\n", file);
    if (plan->width == 1)
        return true;
    fprintf(file, "    # %s times the standard width: the hours allow %s\n",
            plan->width < 1   ? "0.5"
            : plan->width < 2 ? "1.5"
                              : "2",
            plan->width < 1 ? "no more" : "it");
    return plan_put_network(file, recipe);
}

char *plan_text(const struct plan *plan, const struct plan_request *request, const char *path, struct error *error)
{
    struct arena arena = {0};
    struct recipe recipe;
    struct text text;
    char *name = arena_strdup(&arena, file_base(request->set)), *whole = NULL;
    enum status status = name ? STATUS_OK : error_memory(error, 0, "the recipe");
    if (!status && plan->has_network)
        status = plan_recipe(&recipe, plan, request, path, &arena, error);
    if (!status && !(status = text_open(&text, error))) {
        name[strcspn(name, ".")] = '\0';
        plan_put_set(text.file, plan, request);
        plan_put_time(text.file, plan, request);
        fprintf(text.file,
                "#\n#   calvaria train THIS.yaml --run runs/%s\nname: %s\nseed: 1\ndata: { set: \"%s\" }\nstages:\n"
                "  # %s\n  - { name: shape, type: shape, tune: false }\n",
                name, name, request->set,
                plan->has_network ? "The heads' statistics; standard parameters, a search has not found better ones."
                                  : plan_network_reason(plan));
        if (plan->has_network && !plan_put_fine(text.file, plan, &recipe, path))
            status = error_memory(error, 1 << 14, "the recipe");
        text_close(&whole, &text, status, error);
    }
    arena_done(&arena);
    return whole;
}

/* The standard network's recipe, which comes with the program. */
static enum status plan_recipe_path(const char **ret, const char *given, struct arena *arena, struct error *error)
{
    const char *folder = NULL;
    if (!given && configs_folder(&folder, arena, "recipes", error))
        return error->status;
    const char *shipped = folder ? file_join(arena, folder, "restoration_fine.yaml") : NULL;
    if (folder && !shipped)
        return error_memory(error, strlen(folder), "a path");
    *ret = given ? given : shipped && file_exists(shipped) ? shipped : NULL;
    if (*ret && recipe_absolute(ret, arena, error))
        return error->status;
    return *ret ? STATUS_OK
                : error_set(error, STATUS_FAILED,
                            "restoration_fine.yaml, which comes with the program, is not there (install it whole)");
}

enum status plan_write(struct plan *ret, const struct plan_request *request, const char *out, struct error *error)
{
    struct arena arena = {0};
    struct plan_request asked = *request;
    struct plan_speed speed = {0};
    struct plan_set set = {0};
    const char *path = NULL;
    char *text = NULL;
    enum status status;
    if (asked.memory_bytes < 0)
        asked.memory_bytes = environment_available_bytes();
    if ((status = plan_recipe_path(&path, asked.recipe, &arena, error)) ||
        (status = recipe_absolute(&asked.set, &arena, error)) || (status = plan_look(&set, asked.set, error)))
        goto done;

    /* Heads and memory suffice, whatever a step takes */
    if ((status = plan_choose(ret, &asked, &set, &speed, path, error)))
        goto done;
    log_info("measuring a few steps of training");
    struct plan standard = *ret;
    standard.width = candidates[STANDARD].width;
    standard.patch_vox = candidates[STANDARD].patch_vox;
    struct plan smallest = standard;
    smallest.width = candidates[0].width;
    smallest.patch_vox = candidates[0].patch_vox;
    smallest.validations = smallest.validation_cases = 0;
    if ((status = plan_measure(&speed, &standard, &smallest, &asked, path, error)) ||
        (status = plan_choose(ret, &asked, &set, &speed, path, error)))
        goto done;

    text = plan_text(ret, &asked, path, error);
    status = text ? file_write(out, text, strlen(text), error) : error->status;
done:
    memory_free(text);
    arena_done(&arena);
    return status ? error_while(error, "planning for %s", request->set) : STATUS_OK;
}
