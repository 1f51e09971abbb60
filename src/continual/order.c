#include "continual/order.h"

#include <string.h>

#include "base/rng.h"

bool lf_task_has_order(int64_t n, int64_t k) {
    int64_t count = 1;
    for (int64_t i = 2; i <= n && count <= k; i++) count *= i;
    return k < count;
}

static bool is_among(const int64_t *orders, int64_t count, const int64_t *one, int64_t n) {
    bool found = false;
    for (int64_t i = 0; i < count && !found; i++) found = memcmp(orders + i * n, one, (size_t)n * sizeof *one) == 0;
    return found;
}

bool lf_task_order(int64_t *order, int64_t n, int64_t k, int64_t *room) {
    if (!lf_task_has_order(n, k)) return false;
    for (int64_t i = 0; i < n; i++) room[i] = i;
    for (int64_t i = 1, draw = 0; i <= k; draw++) {
        lf_rng_permutation(lf_rng_make((uint64_t)draw, LF_RNG_ORDER, (uint64_t)n), room + i * n, n);
        i += !is_among(room, i, room + i * n, n);
    }
    memcpy(order, room + k * n, (size_t)n * sizeof *order);
    return true;
}
