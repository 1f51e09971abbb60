/* Which kernels run here. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "kernels/fast/fast.h"
#include "kernels/product/products.h"

static bool always(void) { return true; }

#if defined(__x86_64__)
static bool has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

static bool has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && has_avx2();
}

static bool has_dot(void) { return __builtin_cpu_supports("avx512bf16"); }
#else
static bool has_dot(void) { return false; }
#endif

/* Fastest first. dot: the bf16 table for processors with dot products of bf16, where oneDNN may use them too; or NULL.
 */
static const struct {
    const lf_kernels *fp32, *bf16, *dot;
    bool (*runs_here)(void);
} backends[] = {
#if defined(__x86_64__)
    {&lf_kernels_avx512, &lf_kernels_avx512_bf16, &lf_kernels_avx512_dot, has_avx512},
    {&lf_kernels_avx2, &lf_kernels_avx2_bf16, NULL, has_avx2},
#endif
    {&lf_kernels_baseline, &lf_kernels_baseline_bf16, NULL, always},
    {&lf_kernels_ref_f32, &lf_kernels_ref_bf16, NULL, always},
};

enum { N_BACKENDS = (int)(sizeof backends / sizeof *backends) };

static void backend_names(char *out, size_t size) {
    out[0] = '\0';
    for (int i = 0; i < N_BACKENDS; i++) {
        const size_t used = strlen(out);
        snprintf(out + used, size - used, "%s%s", i ? ", " : "", backends[i].fp32->name);
    }
}

static lf_status select_named(int *out, const char *name, lf_err *err) {
    char names[128];
    backend_names(names, sizeof names);
    for (int i = 0; i < N_BACKENDS; i++) {
        if (strcmp(backends[i].fp32->name, name) != 0) continue;
        if (!backends[i].runs_here())
            return lf_fail(err, LF_EUNSUPPORTED,
                           "environment variable LF_KERNELS: this processor cannot run '%s'; unset "
                           "it to use the fastest that it runs",
                           name);
        *out = i;
        return LF_OK;
    }
    return lf_fail(err, LF_EUSAGE,
                   "environment variable LF_KERNELS: expected one of %s, got '%s'; unset it to use the "
                   "fastest that this processor runs",
                   names, name);
}

static lf_status select_backend(int *out, lf_err *err) {
    const char *name = getenv("LF_KERNELS");
    if (name && *name) return select_named(out, name, err);
    for (*out = 0; !backends[*out].runs_here();) ++*out;
    return LF_OK;
}

/* The tables for bf16 carry in their names who multiplies. */
static const lf_kernels *named_table(const lf_kernels *k, int i, bool dot) {
    static struct {
        lf_kernels table;
        char name[24];
    } made[N_BACKENDS][2];
    lf_kernels *table = &made[i][dot].table;
    char *name = made[i][dot].name;
    if (k == &lf_kernels_ref_bf16) return k;
    *table = *k;
    snprintf(name, sizeof made[i][dot].name, "%s+%s", backends[i].fp32->name,
             lf_onednn_has_bf16() ? "bf16" : "bf16ref");
    table->name = name;
    return table;
}

static bool dot_runs_here(int i) { return backends[i].dot && lf_onednn_has_bf16() && has_dot(); }

static const lf_kernels *bf16_table(int i) {
    return dot_runs_here(i) ? named_table(backends[i].dot, i, true) : named_table(backends[i].bf16, i, false);
}

lf_status lf_kernels_select(const lf_kernels **out, const char *precision, lf_err *err) {
    const bool automatic = strcmp(precision, "auto") == 0;
    int i = 0;
    const lf_status rc = select_backend(&i, err);
    if (rc) return rc;
    *out = backends[i].fp32;
    if (strcmp(precision, "fp32") == 0) return LF_OK;
    if (!automatic && strcmp(precision, "bf16") != 0)
        return lf_fail(err, LF_EUSAGE, "precision: expected fp32, bf16 or auto, got '%s'", precision);
    const bool native = lf_onednn_has_bf16() && backends[i].bf16 != &lf_kernels_ref_bf16;
    if (automatic && !native) return LF_OK;
    if (!native)
        lf_warn(
            "precision bf16: products go by way of fp32, which is slow, because oneDNN finds no AVX512_BF16 or AMX (or "
            "LF_KERNELS=ref asks for the reference); fp32 or auto is faster here");
    *out = bf16_table(i);
    return LF_OK;
}

int lf_kernels_available(const char *precision, const lf_kernels *out[], int max) {
    const bool bf16 = strcmp(precision, "bf16") == 0;
    int n = 0;
    for (int i = 0; i < N_BACKENDS; i++) {
        if (!backends[i].runs_here()) continue;
        if (bf16 && dot_runs_here(i) && n < max) out[n++] = bf16_table(i);
        if (n < max) out[n++] = bf16 ? named_table(backends[i].bf16, i, false) : backends[i].fp32;
    }
    return n;
}

bool lf_frozen_is_exact(lf_frozen_format format) {
    static const bool exact[] = {
#define LF_FROZEN(ID, name, is_exact) [LF_FROZEN_##ID] = is_exact,
#include "kernels/frozen.def"
#undef LF_FROZEN
    };
    return exact[format];
}
