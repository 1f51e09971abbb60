#include "data/portion.h"

bool lf_portion_is_all(lf_portion p) { return p.n == p.period; }

int64_t lf_portion_count(lf_portion p, int64_t batches) {
    if (lf_portion_is_all(p)) return batches;
    const int64_t left = batches % p.period - p.first;
    return batches / p.period * p.n + (left < 0 ? 0 : left > p.n ? p.n : left);
}

int64_t lf_portion_number(lf_portion p, int64_t i) {
    return lf_portion_is_all(p) ? i : i / p.n * p.period + p.first + i % p.n;
}

lf_batch_place lf_portion_place(lf_portion p, int64_t per_epoch, int64_t epoch, int64_t batch, int64_t i) {
    const int64_t each = lf_portion_count(p, per_epoch), at = lf_portion_count(p, batch) + i;
    return (lf_batch_place){epoch + at / each, lf_portion_number(p, at % each)};
}

int64_t lf_portion_total(lf_portion p, int64_t per_epoch, int64_t epochs, int64_t batch) {
    const int64_t each = lf_portion_count(p, per_epoch), before = lf_portion_count(p, batch);
    int64_t total;
    if (!each) return 0;
    if (__builtin_mul_overflow(epochs, each, &total)) return INT64_MAX;
    return total > before ? total - before : 0;
}
