/* The verb `convert`: an adapter in another form. */
#include <stdio.h>

#include "base/obj.h"
#include "tools/common.h"

static int64_t count_adapted(const lf_nn *nn) {
    int64_t n = 0;
    for (int64_t i = 0; i < nn->n_modules; i++) n += nn->modules[i]->lora != NULL;
    return n;
}

static lf_status print_converted(const lf_opened *o, const lf_config *cfg, FILE *out, lf_err *err) {
    const char *path = lf_cfg_str(cfg, LF_output_dir);
    const int64_t n = count_adapted(&o->model->nn);
    if (!lf_cfg_bool(cfg, LF_json)) {
        fprintf(out, "%s: an adapter of %lld modules, for llama.cpp\n", path, (long long)n);
        return LF_OK;
    }
    lf_obj json = lf_obj_new();
    lf_obj_string(&json, "output_dir", path);
    lf_obj_string(&json, "format", lf_cfg_str(cfg, LF_format));
    lf_obj_number(&json, "modules", (double)n);
    return lf_json_write_line(out, lf_obj_take(&json), err);
}

static lf_status write_gguf(const lf_config *cfg, FILE *out, lf_err *err) {
    lf_opened o = {0};
    lf_file_names names = {0};
    lf_status rc;
    if (!(rc = lf_check_output_file(cfg, err)) && !(rc = lf_opened_open(&o, cfg, LF_LOAD_NOTHING, err)) &&
        !(rc = lf_file_facts(&names, &o, cfg, err)) && !(rc = lf_gguf_write_adapter(o.model, &names.facts, err)))
        rc = print_converted(&o, cfg, out, err);
    lf_file_names_free(&names);
    lf_opened_close(&o);
    return rc;
}

lf_status lf_convert(const lf_config *cfg, FILE *out, lf_err *err) { return write_gguf(cfg, out, err); }
