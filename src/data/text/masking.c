#include "data/text/masking.h"

#include "base/rng.h"

#define CHOSEN 0.15
#define HIDDEN 0.8 /* of those that are chosen */
#define RANDOM 0.1

/* `draw` in [0, 1) decides what stands where `id` stood. */
static int32_t replacement(const lf_text_masking *m, int32_t id, double draw) {
    if (draw < HIDDEN) return m->mask;
    if (draw >= HIDDEN + RANDOM) return id;
    const int64_t at = (int64_t)((draw - HIDDEN) / RANDOM * (double)m->vocab_size);
    return (int32_t)(at < m->vocab_size ? at : m->vocab_size - 1);
}

int64_t lf_text_mask(const lf_text_masking *m, int64_t document, int32_t *ids, int32_t *labels, int64_t n) {
    const lf_rng_key key = lf_rng_make(0, LF_RNG_MASK, (uint64_t)document);
    int64_t chosen = 0;
    for (int64_t i = 0; i < n; i++) {
        labels[i] = -1;
        if (m->is_special(m->context, ids[i]) || lf_rng_uniform(key, 2 * (uint64_t)i) >= CHOSEN) continue;
        labels[i] = ids[i];
        ids[i] = replacement(m, ids[i], lf_rng_uniform(key, 2 * (uint64_t)i + 1));
        chosen++;
    }
    return chosen;
}
