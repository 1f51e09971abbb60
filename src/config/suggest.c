/* "Did you mean": the known name with the fewest insertions, deletions, changes and swaps of neighbours (optimal string
 * alignment distance); where none is near, the one that has all words of what was typed, and the fewest others. */
#include <string.h>

#include "config/known.h"

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

/* Words of `name` ("max_seq_length" has three) beside those of `typed`, which are all in it, in their order; -1: they
 * are not. */
static int words_beside(lf_slice typed, lf_slice name) {
    int beside = 0, at = 0;
    for (int i = 0; i <= name.length;) {
        int n = 0, t = 0;
        while (i + n < name.length && name.start[i + n] != '_') n++;
        while (at + t < typed.length && typed.start[at + t] != '_') t++;
        if (n && n == t && memcmp(name.start + i, typed.start + at, (size_t)n) == 0)
            at += t + 1;
        else
            beside++;
        i += n + 1;
    }
    return at > typed.length ? beside : -1;
}

enum { MOST_BESIDE = 2 };

typedef struct search {
    lf_slice typed, *best;
    size_t edits; /* fewer than these */
    int beside;   /* fewer than these; the edits go first */
} search;

static search search_for(const char *name, char typed[MAX_NAME + 1], lf_slice *best) {
    int n = 0;
    for (; n < MAX_NAME && name[n]; n++) typed[n] = name[n] == '-' ? '_' : name[n];
    /* Further away than one letter in four, it is more likely another thing than a slip: val_size is no eval_file; of
     * one letter, that alone. */
    const size_t too_far = (n < 2 ? 0 : n < 8 ? 1 : (size_t)n / 4) + 1;
    return (search){{typed, n}, best, too_far, MOST_BESIDE + 1};
}

/* Is it nearer than what was found so far? By letters, or else by words. */
static void look(search *s, lf_slice candidate, bool by_words) {
    const size_t d = edit_distance(s->typed.start, (size_t)s->typed.length, candidate.start, (size_t)candidate.length);
    const int beside = by_words ? words_beside(s->typed, candidate) : -1;
    if (by_words ? beside < 0 || beside >= s->beside : d >= s->edits) return;
    *s->best = candidate;
    if (by_words)
        s->beside = beside;
    else
        s->edits = d;
}

static lf_slice slice_of(const char *s) { return (lf_slice){s, (int)strlen(s)}; }

static void look_at_keys(search *s, unsigned verbs, bool by_words) {
    for (size_t i = 0; i < lf_n_keys; i++) {
        if (!(lf_keys[i].verbs & verbs)) continue;
        look(s, slice_of(lf_keys[i].name), by_words);
        const char *aliases = lf_keys[i].aliases;
        for (lf_slice alias; lf_next_item(&aliases, &alias);) look(s, alias, by_words);
    }
}

bool lf_key_suggest(lf_slice *out, const char *name, unsigned verbs) {
    char typed[MAX_NAME + 1];
    *out = (lf_slice){0};
    search s = search_for(name, typed, out);
    for (int by_words = 0; by_words < 2 && !out->start; by_words++) look_at_keys(&s, verbs, by_words);
    return out->start != NULL;
}

lf_status lf_config_unknown_name(const char *name, lf_err *err) {
    char typed[MAX_NAME + 1];
    while (*name == '-') name++;
    lf_slice best = {0};
    search s = search_for(name, typed, &best);
    for (int by_words = 0; by_words < 2 && !best.start; by_words++) {
        for (size_t i = 0; i < lf_n_verbs; i++) look(&s, slice_of(lf_verbs[i].name), by_words);
        look_at_keys(&s, LF_V_ALL, by_words);
        for (size_t i = 0; i < lf_n_knowns; i++) look(&s, slice_of(lf_knowns[i].name), by_words);
    }
    if (best.start)
        return lf_fail(err, LF_EUSAGE, "there is no verb or key '%.64s'; did you mean '%.*s'?", name, best.length,
                       best.start);
    return lf_fail(
        err, LF_EUSAGE,
        "there is no verb or key '%.64s'; 'lora-ft help' lists the verbs, 'lora-ft VERB --help all' the keys", name);
}
