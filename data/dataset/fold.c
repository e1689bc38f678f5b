/* fold.c - see fold.h. Test: tests/data/test_fold.c */
#include "data/dataset/fold.h"

#include <inttypes.h>
#include <string.h>

#include "base/rng.h"
#include "data/dataset/dataset_file.h"

#define OFFSET(member) offsetof(struct fold, member)
/* clang-format off */
static const struct config_field fold_fields[] = {
    {.key = "number", .type = CONFIG_INT, .offset = OFFSET(number), .text = "0", .min = 0, .max = 1000,
     .unit = "folds", .help = "the heads of train and val in so many parts; 0: the dataset's own split"},
    {.key = "held_out", .type = CONFIG_INT, .offset = OFFSET(held_out), .text = "0", .min = 0, .max = 1000,
     .help = "the part that validates, from 1; 0: `calvaria train` takes each in turn"},
    {.key = "seed", .type = CONFIG_INT, .offset = OFFSET(seed), .text = "1", .min = 0, .max = 9e15,
     .help = "of the parts; the same for all recipes that are compared"},
    {0}};
/* clang-format on */
const struct config_table fold_table = {
    .help = "Cross-validation: heads in equal parts", .size = sizeof(struct fold), .fields = fold_fields};

/* Cases of train and val, as they are dealt out. */
struct fold_deal {
    int64_t n;
    int64_t *item;   /* index of the case */
    int64_t *leader; /* the first case of its head, as an index here */
    int64_t *order;  /* of the leaders */
    int64_t n_heads;
};

static bool fold_same_head(const struct dataset_case *a, const struct dataset_case *b)
{
    return a->content_hash == b->content_hash || (a->group && b->group && strcmp(a->group, b->group) == 0);
}

/* Heads may be joined in a chain: a and b by group, b and c by content. */
static int64_t fold_leader(const struct fold_deal *deal, int64_t i)
{
    while (deal->leader[i] != i)
        i = deal->leader[i];
    return i;
}

static void fold_join(struct fold_deal *deal, const struct dataset *set)
{
    for (int64_t i = 0; i < deal->n; i++)
        for (int64_t j = i + 1; j < deal->n; j++)
            if (fold_same_head(dataset_case(set, deal->item[i]), dataset_case(set, deal->item[j]))) {
                const int64_t a = fold_leader(deal, i), b = fold_leader(deal, j);
                deal->leader[a > b ? a : b] = a < b ? a : b;
            }
    for (int64_t i = 0; i < deal->n; i++)
        if (fold_leader(deal, i) == i)
            deal->order[deal->n_heads++] = i;
}

/* Heads in a random order (Fisher and Yates), each to the fold with the fewest cases so far. */
static enum status fold_assign(struct dataset *set, struct fold_deal *deal, const struct fold *fold,
                               struct error *error)
{
    int64_t *count = memory_zalloc((size_t)fold->number, sizeof *count);
    struct rng rng = rng_make((uint64_t)fold->seed, 0);
    if (!count)
        return error_memory(error, (size_t)fold->number * sizeof *count, "the folds");
    for (int64_t k = deal->n_heads - 1; k > 0; k--) {
        const int64_t other = rng_below(&rng, k + 1), kept = deal->order[k];
        deal->order[k] = deal->order[other];
        deal->order[other] = kept;
    }
    for (int64_t k = 0; k < deal->n_heads; k++) {
        int64_t least = 0;
        for (int64_t f = 1; f < fold->number; f++)
            least = count[f] < count[least] ? f : least;
        for (int64_t i = 0; i < deal->n; i++)
            if (fold_leader(deal, i) == deal->order[k]) {
                dataset_set_split(set, deal->item[i], least + 1 == fold->held_out ? SPLIT_VAL : SPLIT_TRAIN);
                count[least]++;
            }
    }
    memory_free(count);
    return STATUS_OK;
}

static enum status fold_apply(struct dataset *set, const char *path, const struct fold *fold, struct error *error)
{
    const int64_t n_all = dataset_n_cases(set) + dataset_n_defective(set);
    struct fold_deal deal = {.item = memory_alloc(3 * (size_t)n_all, sizeof *deal.item)};
    if (!deal.item)
        return error_memory(error, 3 * (size_t)n_all * sizeof *deal.item, "the folds");
    deal.leader = deal.item + n_all;
    deal.order = deal.leader + n_all;
    for (int64_t i = 0; i < n_all; i++)
        if (dataset_case(set, i)->split != SPLIT_TEST) {
            deal.leader[deal.n] = deal.n;
            deal.item[deal.n++] = i;
        }
    fold_join(&deal, set);

    enum status status = STATUS_OK;
    if (fold->number < 2 || fold->held_out > fold->number)
        status = error_set(error, STATUS_USAGE,
                           "data.folds.held_out: %" PRId64 " of data.folds.number: %" PRId64
                           " (2 folds or more, counted from 1)",
                           fold->held_out, fold->number);
    else if (deal.n_heads < fold->number)
        status = error_set(error, STATUS_USAGE,
                           "data.folds.number: %" PRId64 ", but %s holds %" PRId64
                           " heads in its splits train and val (fewer folds; test heads are never dealt out)",
                           fold->number, path, deal.n_heads);
    if (!status)
        status = fold_assign(set, &deal, fold, error);
    memory_free(deal.item);
    return status;
}

enum status dataset_open_fold(struct dataset **ret, const char *path, const struct fold *fold, struct error *error)
{
    struct dataset *set;
    if (dataset_open(&set, path, error))
        return error->status;
    if (fold && fold->number > 0 && fold_apply(set, path, fold, error)) {
        dataset_close(set);
        return error->status;
    }
    *ret = set;
    return STATUS_OK;
}
