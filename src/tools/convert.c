/* The verb `convert`: an adapter in another form, for llama.cpp, or with a smaller rank. */
#include <stdio.h>

#include "adapter/reduce.h"
#include "base/cells.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/terminal.h"
#include "tools/common.h"

/* ---- gguf ---- */

static int64_t count_adapted(const lf_nn *nn) {
    int64_t n = 0;
    for (int64_t i = 0; i < nn->n_modules; i++) n += nn->modules[i]->lora != NULL;
    return n;
}

static lf_obj begin_json(const lf_config *cfg, int64_t modules) {
    lf_obj json = lf_obj_new();
    lf_obj_string(&json, "output_dir", lf_cfg_str(cfg, LF_output_dir));
    lf_obj_string(&json, "format", lf_cfg_str(cfg, LF_format));
    lf_obj_number(&json, "modules", (double)modules);
    return json;
}

static lf_status print_converted(const lf_opened *o, const lf_config *cfg, FILE *out, lf_err *err) {
    const int64_t n = count_adapted(&o->model->nn);
    if (lf_cfg_bool(cfg, LF_json)) {
        lf_obj json = begin_json(cfg, n);
        return lf_json_write_line(out, lf_obj_take(&json), err);
    }
    lf_print_line(out, "%s: an adapter of %lld modules, for llama.cpp", lf_cfg_str(cfg, LF_output_dir), (long long)n);
    return LF_OK;
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

/* ---- a smaller rank ---- */

static double share(double dropped, double energy) { return energy > 0 ? dropped / energy : 0; }

/* All of them together. */
static lf_reduced sum_of(const lf_reduced *modules, int64_t n) {
    lf_reduced sum = {0};
    for (int64_t i = 0; i < n; i++) {
        sum.energy += modules[i].energy;
        sum.dropped += modules[i].dropped;
    }
    return sum;
}

static cJSON *modules_json(const lf_reduced *modules, int64_t n) {
    lf_obj list = lf_list_new();
    for (int64_t i = 0; i < n; i++) {
        const lf_reduced *m = &modules[i];
        lf_obj o = lf_obj_new();
        lf_obj_string(&o, "module", m->name);
        lf_obj_number(&o, "r_before", (double)m->was);
        lf_obj_number(&o, "r", (double)m->r);
        lf_obj_number(&o, "energy", m->energy);
        lf_obj_number(&o, "dropped", share(m->dropped, m->energy));
        lf_list_put(&list, lf_obj_take(&o));
    }
    return lf_obj_take(&list);
}

static lf_status print_reduced(const lf_reduced *modules, int64_t n, const lf_config *cfg, FILE *out, lf_err *err) {
    const lf_reduced sum = sum_of(modules, n);
    if (lf_cfg_bool(cfg, LF_json)) {
        lf_obj json = begin_json(cfg, n);
        lf_obj_number(&json, "r", (double)lf_cfg_i64(cfg, LF_r));
        lf_obj_number(&json, "energy", sum.energy);
        lf_obj_number(&json, "dropped", share(sum.dropped, sum.energy));
        lf_obj_put(&json, "reduced", modules_json(modules, n));
        return lf_json_write_line(out, lf_obj_take(&json), err);
    }
    static const char *const heads[] = {"module", "rank was", "is", "dropped"};
    lf_cells t = lf_cells_new(sizeof heads / sizeof *heads, LF_CELLS_HEAD);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) lf_cells_put(&t, "%s", heads[i]);
    for (int64_t i = 0; i < n; i++) {
        lf_cells_put(&t, "%s", modules[i].name);
        lf_cells_put(&t, "%lld", (long long)modules[i].was);
        lf_cells_put(&t, "%lld", (long long)modules[i].r);
        lf_cells_put(&t, "%.3g%%", 100 * share(modules[i].dropped, modules[i].energy));
    }
    lf_cells_print(&t, out);
    lf_print_line(out, "%s: of the energy of all updates (|dW|^2 = %.4g) %.3g%% was dropped",
                  lf_cfg_str(cfg, LF_output_dir), sum.energy, 100 * share(sum.dropped, sum.energy));
    return LF_OK;
}

static lf_status reduce(const lf_config *cfg, FILE *out, lf_err *err) {
    static const char *const files[] = {"adapter_config.json", "adapter_model.safetensors", NULL};
    lf_adapter_file *f = NULL;
    lf_reduced *modules = NULL;
    int64_t n = 0;
    lf_status rc;
    if (!(rc = lf_check_output_folder(cfg, "an adapter", files, err)) &&
        !(rc = lf_adapter_open(&f, lf_cfg_str(cfg, LF_adapter), err)) &&
        !(rc = lf_adapter_save_reduced(&modules, &n, f, lf_cfg_i64(cfg, LF_r), lf_cfg_str(cfg, LF_output_dir), err)))
        rc = print_reduced(modules, n, cfg, out, err);
    lf_free(modules);
    lf_adapter_close(f);
    return rc;
}

lf_status lf_convert(const lf_config *cfg, FILE *out, lf_err *err) {
    return lf_cfg_writes_file(cfg) ? write_gguf(cfg, out, err) : reduce(cfg, out, err);
}
