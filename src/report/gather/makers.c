#include "report/gather/makers.h"

#include <string.h>

#include "base/mem.h"

static const char *made(const lf_gathered_run *r, const char *key) {
    const cJSON *o = cJSON_GetObjectItemCaseSensitive(r->results, "made");
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));
}

static int64_t find(const lf_gathered *g, const char *kernels, const char *processor) {
    int64_t i = 0;
    while (i < g->n_makers &&
           (strcmp(g->makers[i].kernels, kernels) != 0 || strcmp(g->makers[i].processor, processor) != 0))
        i++;
    return i;
}

lf_status lf_makers_find(lf_gathered *g, lf_err *err) {
    for (int64_t i = 0; i < g->n_runs; i++) {
        lf_gathered_run *r = &g->runs[i];
        const char *kernels = made(r, "kernels"), *processor = made(r, "processor");
        r->maker = -1; /* unfinished, or of an earlier version */
        if (!kernels || !processor) continue;
        r->maker = find(g, kernels, processor);
        if (r->maker == g->n_makers) {
            if (!lf_grow(&g->makers, &g->makers_capacity, g->n_makers + 1)) return lf_no_memory(err, "%s", g->dir);
            g->makers[g->n_makers++] = (lf_maker){.kernels = kernels, .processor = processor};
        }
        g->makers[r->maker].n_runs++;
    }
    for (int64_t i = 0; i < g->n_makers; i++)
        if (g->makers[i].n_runs > g->makers[g->usual_maker].n_runs) g->usual_maker = i;
    return LF_OK;
}

bool lf_made_otherwise(const lf_gathered *g, const lf_gathered_run *r) {
    return r->maker >= 0 && r->maker != g->usual_maker;
}

bool lf_any_made_otherwise(const lf_gathered *g, const int64_t *runs, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (lf_made_otherwise(g, &g->runs[runs[i]])) return true;
    return false;
}

void lf_makers_put(lf_string *t, const lf_gathered *g) {
    if (g->n_makers < 2) return;
    lf_string_add(t, "* by other kernels, or on another processor, than most runs, so that last digits may differ:");
    for (int64_t i = 0; i < g->n_makers; i++) {
        const lf_maker *m = &g->makers[i];
        lf_string_add(t, "%s %s on %s %lld run%s", i ? "," : "", m->kernels, m->processor, (long long)m->n_runs,
                      m->n_runs > 1 ? "s" : "");
    }
}
