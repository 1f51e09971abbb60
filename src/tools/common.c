#define _XOPEN_SOURCE 700 /* realpath */
#include "tools/common.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

/* ---- opening ---- */

/* A head alone has no size: whoever asks for another than 1 meant another adapter. */
static lf_status take_scale(lf_opened *o, const lf_config *cfg, lf_err *err) {
    if (!o->adapted.adapter || !lf_cfg_is_set(cfg, LF_adapter_scale)) return LF_OK;
    if (lf_adapter_file_is_head(o->adapted.file))
        return lf_cfg_fail(cfg, LF_adapter_scale, err, "'%s' is a head alone, without LoRA: there is nothing to scale",
                           lf_cfg_str(cfg, LF_adapter));
    return lf_adapter_set_scale(o->adapted.adapter, lf_cfg_f64(cfg, LF_adapter_scale), err);
}

lf_status lf_opened_open(lf_opened *o, const lf_config *cfg, lf_load load, lf_err *err) {
    *o = (lf_opened){0};
    lf_status rc = lf_threads_take(&o->threads, (int)lf_cfg_i64(cfg, LF_threads), err);
    if (rc) return rc;
    const char *precision =
        load == LF_LOAD_NOTHING ? "fp32" : lf_cfg_str(cfg, LF_precision); /* merge computes nothing */
    if ((rc = lf_kernels_select(&o->k, precision, err))) return rc;
    const lf_model_opts opts = lf_model_opts_of(cfg, o->k, load);
    if ((rc = lf_adapted_open(&o->adapted, lf_cfg_str(cfg, LF_model), lf_cfg_str(cfg, LF_adapter), &opts, err)))
        return rc;
    o->model = o->adapted.model;
    if ((rc = take_scale(o, cfg, err))) return rc;
    o->g = lf_graph_new(o->k, 0);
    return o->g ? LF_OK : lf_no_memory(err, "the graph");
}

void lf_opened_close(lf_opened *o) {
    lf_graph_free(o->g);
    lf_adapted_close(&o->adapted);
    *o = (lf_opened){0};
}

bool lf_opened_base_answers(const lf_opened *o) {
    const bool grown = lf_model_has_grown(o->model);
    if (grown) lf_info("the base does not know the added tokens, so its answers to data are not compared");
    return !grown;
}

int64_t lf_opened_trained(const lf_opened *o) {
    return o->adapted.file ? lf_adapter_file_trained(o->adapted.file) : lf_nn_count(&o->model->nn, true);
}

double lf_peak_rss_mb(void) { return (double)lf_peak_rss_bytes() / (1024.0 * 1024.0); }

bool lf_path_is_within(const char *inner, const char *outer) {
    char *a = realpath(inner, NULL), *b = realpath(outer, NULL);
    const size_t n = b ? strlen(b) : 0;
    const bool yes = a && b && strncmp(a, b, n) == 0 && (a[n] == 0 || a[n] == '/' || n == 1);
    free(a); /* realpath's, not ours */
    free(b);
    return yes;
}
