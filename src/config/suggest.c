/* "Did you mean": the known name with the fewest insertions, deletions, changes and swaps of neighbours (optimal string
 * alignment distance). */
#include <string.h>

#include "config/config_internal.h"

enum { MAX_NAME = 63 };

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static size_t edit_distance(const char *a, size_t n, const char *b, size_t m) {
    n = least(n, MAX_NAME), m = least(m, MAX_NAME);
    size_t rows[3][MAX_NAME + 1]; /* of prefixes of a: i - 2, i - 1, i */
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= m; j++) last[j] = j;
    for (size_t i = 1; i <= n; i++) {
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            const size_t change = last[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = least(change, 1 + least(last[j], row[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
        size_t *oldest = before;
        before = last, last = row, row = oldest;
    }
    return last[m];
}

static size_t best_of(lf_slice typed, lf_slice candidate, size_t least_so_far, lf_slice *best) {
    const size_t d = edit_distance(typed.start, (size_t)typed.length, candidate.start, (size_t)candidate.length);
    if (d >= least_so_far) return least_so_far;
    *best = candidate;
    return d;
}

bool lf_key_suggest(lf_slice *out, const char *name, unsigned verbs) {
    char typed[MAX_NAME + 1];
    int n = 0;
    for (; n < MAX_NAME && name[n]; n++) typed[n] = name[n] == '-' ? '_' : name[n];
    const lf_slice t = {typed, n};
    /* Further away than one letter in four, it is more likely another thing than a slip: val_size is no eval_file. */
    const size_t too_far = (n < 8 ? 1 : (size_t)n / 4) + 1;
    size_t d = too_far;
    for (size_t i = 0; i < lf_n_keys; i++) {
        if (!(lf_keys[i].verbs & verbs)) continue;
        d = best_of(t, (lf_slice){lf_keys[i].name, (int)strlen(lf_keys[i].name)}, d, out);
        const char *aliases = lf_keys[i].aliases;
        lf_slice alias;
        while (lf_next_item(&aliases, &alias)) d = best_of(t, alias, d, out);
    }
    return d < too_far;
}
