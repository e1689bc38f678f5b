/* config_nearest.c - "did you mean": optimal string alignment distance (a swap of neighbours counts once), case
 * ignored. Test: tests/base/test_config.c */
#include <ctype.h>
#include <string.h>

#include "base/config.h"

enum { NEAREST_MAX = 48 };

static int nearest_least(int a, int b)
{
    return a < b ? a : b;
}

static int nearest_distance(const char *a, const char *b)
{
    int n_a = (int)strlen(a), n_b = (int)strlen(b);
    int cost[NEAREST_MAX + 1][NEAREST_MAX + 1]; /* cost[i][j]: the first i letters of a to the first j of b */

    for (int i = 0; i <= n_a; i++)
        cost[i][0] = i;
    for (int j = 0; j <= n_b; j++)
        cost[0][j] = j;

    /* Levenshtein's recurrence: delete, insert or replace a letter. */
    for (int i = 1; i <= n_a; i++)
        for (int j = 1; j <= n_b; j++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);
            int best = nearest_least(cost[i - 1][j], cost[i][j - 1]) + 1;
            best = nearest_least(best, cost[i - 1][j - 1] + (x != y));
            bool swapped =
                i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) && tolower((unsigned char)a[i - 2]) == y;
            cost[i][j] = swapped ? nearest_least(best, cost[i - 2][j - 2] + 1) : best;
        }
    return cost[n_a][n_b];
}

const char *config_nearest(const char *word, const char *const *names)
{
    size_t length = strlen(word);
    if (length > NEAREST_MAX)
        return NULL;
    const char *nearest = NULL;
    int best = (int)(length + 3) / 3; /* one wrong letter in three, and one more */
    for (; *names; names++) {
        if (strlen(*names) > NEAREST_MAX)
            continue;
        int distance = nearest_distance(word, *names);
        if (distance < best || (distance == best && !nearest && distance < (int)strlen(*names)))
            best = distance, nearest = *names;
    }
    return nearest;
}
