#include <assert.h>
#include <math.h>

#include "adapter/adapter.h"

/* k = min{k : sum of the first k squares >= e * all}, 1-based; the block of r is laid around component k. */
static int64_t start_at_energy(double e, int64_t n, int64_t r, const double *sigma) {
    double total = 0, part = 0;
    for (int64_t i = 0; i < n; i++) total += sigma[i] * sigma[i];
    int64_t k = 0;
    do part += sigma[k] * sigma[k];
    while (++k < n && part < e * total);
    const int64_t s = k - 1 - r / 2;
    return s < 0 ? 0 : s > n - r ? n - r : s;
}

lf_status lf_position_start(lf_position p, int64_t n, int64_t r, const double *sigma, const char *name, int64_t *s,
                            lf_err *err) {
    assert(r >= 1 && r <= n);
    switch (p.kind) {
    case LF_POSITION_FRACTION: *s = (int64_t)floor(p.value * (double)(n - r)); return LF_OK;
    case LF_POSITION_INDEX:
        if (p.value > (double)(n - r))
            return lf_fail(err, LF_EUSAGE,
                           "%s: init_position index %.0f: the weight has %lld components, so a block of r = %lld "
                           "starts at %lld at "
                           "the latest; try a smaller index, or a fraction",
                           name, p.value, (long long)n, (long long)r, (long long)(n - r));
        *s = (int64_t)p.value;
        return LF_OK;
    case LF_POSITION_ENERGY:
        assert(sigma);
        *s = start_at_energy(p.value, n, r, sigma);
        return LF_OK;
    }
    return lf_fail(err, LF_EFAIL, "%s: init_position of unknown kind %d", name, (int)p.kind);
}
