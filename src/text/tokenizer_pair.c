/* One text or two as a classifier reads them: cut to a length, with special tokens around them. */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "text/tokenizer_internal.h"

/* The form of a tokenizer without post-processor: the texts one after the other. */
static const lf_template_item plain_items[] = {{LF_TEXT_HERE, 0}, {LF_SECOND_HERE, 1}};

/* What is put around the texts, by the one step that puts anything. A second such step would surround the first one's
 * tokens; no tokenizer that reads pairs has two, and which type what would get is not defined. */
static lf_status find_template(const lf_tokenizer *t, bool two, lf_template *out, lf_err *err) {
    const lf_step *found = NULL;
    *out = (lf_template){(lf_template_item *)(uintptr_t)plain_items, two ? 2 : 1, 0};
    for (size_t i = 0; i < t->postprocessors.n; i++) {
        const lf_step *s = &t->postprocessors.at[i];
        if (!s->kind->apply) continue;
        if (found)
            return lf_fail(err, LF_EUNSUPPORTED, "%s: a second step that puts special tokens around texts", s->where);
        found = s;
        *out = two ? s->pair : s->single;
    }
    if (found && two && out->n == 0)
        return lf_fail(err, LF_EUNSUPPORTED, "%s: key 'pair': none, so two texts have no form", found->where);
    return LF_OK;
}

static int64_t count_special(const lf_template *p) {
    int64_t n = 0;
    for (size_t i = 0; i < p->n; i++) n += p->at[i].id >= 0;
    return n;
}

/* How much stays of two texts of n[0] and n[1] ids in `room`: of the longer one what the shorter one leaves, but at
 * least half; an odd id goes to the longer one. The rule, and what it does where both are longer than `room`, is that
 * of `tokenizers`' "longest_first". */
static void share(int64_t room, int64_t n[2]) {
    const int64_t total = n[0] + n[1];
    const int longer = n[0] > n[1] ? 0 : 1;
    int64_t s = n[1 - longer], l;
    if (total <= room) return;
    l = s > room ? s : room - s > s ? room - s : s;
    if (s + l > room) {
        s = room / 2;
        l = s + room % 2;
    }
    n[longer] = l;
    n[1 - longer] = s;
}

typedef struct texts {
    lf_ids ids[2];
    int64_t kept[2]; /* ids of each */
} texts;

static bool put(const lf_tokenizer *t, const lf_template *p, const texts *x, lf_ids *ids, lf_ids *types) {
    for (size_t i = 0; i < p->n; i++) {
        const lf_template_item *item = &p->at[i];
        const int number = item->id == LF_SECOND_HERE;
        const int64_t kept = item->id >= 0 ? 1 : x->kept[number];
        const int64_t first = item->id >= 0 || !t->truncates_left ? 0 : x->ids[number].n - kept;
        const int32_t *from = item->id >= 0 ? &item->id : x->ids[number].ids;
        if (kept > 0 && !lf_ids_append(ids, from + first, kept)) return false;
        for (int64_t k = 0; types && k < kept; k++)
            if (!lf_ids_append(types, &item->type, 1)) return false;
    }
    return true;
}

static lf_status cut(const lf_template *p, int64_t max_length, bool two, texts *x, lf_err *err) {
    const int64_t special = count_special(p);
    x->kept[0] = x->ids[0].n;
    x->kept[1] = x->ids[1].n;
    if (max_length <= 0) return LF_OK;
    if (max_length <= special)
        return lf_fail(err, LF_EDATA,
                       "a length of %" PRId64 " tokens has no room for text beside the %" PRId64
                       " special tokens that the tokenizer puts around it; take a larger one",
                       max_length, special);
    if (two)
        share(max_length - special, x->kept);
    else if (x->kept[0] > max_length - special)
        x->kept[0] = max_length - special;
    return LF_OK;
}

lf_status lf_tokenizer_encode_pair(lf_tokenizer_work *w, const char *a, size_t na, const char *b, size_t nb,
                                   int64_t max_length, lf_ids *ids, lf_ids *token_types, int64_t *n_left_out,
                                   lf_err *err) {
    const int64_t n = ids->n, n_types = token_types ? token_types->n : 0;
    lf_template p;
    texts x = {0};
    lf_status rc = find_template(w->t, b != NULL, &p, err);
    if (rc || (rc = lf_tokenizer_encode_with(w, a, na, false, &x.ids[0], err)) ||
        (b && (rc = lf_tokenizer_encode_with(w, b, nb, false, &x.ids[1], err))) ||
        (rc = cut(&p, max_length, b != NULL, &x, err)))
        goto out;
    if (n_left_out) *n_left_out = x.ids[0].n - x.kept[0] + x.ids[1].n - x.kept[1];
    if (!put(w->t, &p, &x, ids, token_types)) {
        rc = lf_no_memory(err, "tokens");
        ids->n = n;
        if (token_types) token_types->n = n_types;
    }
out:
    lf_ids_free(&x.ids[0]);
    lf_ids_free(&x.ids[1]);
    return rc;
}
