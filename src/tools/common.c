#include "tools/common.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"

/* ---- opening ---- */

lf_status lf_opened_open(lf_opened *o, const lf_config *cfg, lf_load load, lf_err *err) {
    *o = (lf_opened){.threads = lf_threads_set((int)lf_cfg_i64(cfg, LF_threads))};
    const char *precision =
        load == LF_LOAD_NOTHING ? "fp32" : lf_cfg_str(cfg, LF_precision); /* merge computes nothing */
    lf_status rc;
    if ((rc = lf_kernels_select(&o->k, precision, err)) ||
        (rc = lf_adapted_open(&o->adapted, lf_cfg_str(cfg, LF_model), lf_cfg_str(cfg, LF_adapter), o->k, load, err)))
        return rc;
    o->model = o->adapted.model;
    o->g = lf_graph_new(o->k, 0);
    return o->g ? LF_OK : lf_no_memory(err, "the graph");
}

void lf_opened_close(lf_opened *o) {
    lf_graph_free(o->g);
    lf_adapted_close(&o->adapted);
    *o = (lf_opened){0};
}

double lf_peak_rss_mb(void) { return (double)lf_peak_rss_bytes() / (1024.0 * 1024.0); }
