#define _XOPEN_SOURCE 700 /* realpath */
#include "tools/common.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/slice.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

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

lf_dtype lf_asked_dtype(const lf_config *cfg) {
    static const struct {
        const char *name;
        lf_dtype dtype;
    } dtypes[] = {{"fp32", LF_F32}, {"bf16", LF_BF16}, {"fp16", LF_F16}};
    const char *name = lf_cfg_str(cfg, LF_save_dtype);
    for (size_t i = 0; name && i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(dtypes[i].name, name) == 0) return dtypes[i].dtype;
    return LF_N_DTYPES;
}

lf_status lf_check_output_folder(const lf_config *cfg, const char *what, const char *const *files, lf_err *err) {
    const char *dir = lf_cfg_str(cfg, LF_output_dir);
    if (lf_is_file(dir)) return lf_cfg_fail(cfg, LF_output_dir, err, "'%s' is a file, expected a folder", dir);
    if (!lf_is_dir(dir)) return LF_OK;
    for (lf_key_id id = LF_NO_KEY; (id = lf_key_next(id, LF_IS_INPUT));) {
        const char *input = lf_cfg_path(cfg, id);
        if (input && lf_path_is_within(input, dir))
            return lf_cfg_fail(cfg, LF_output_dir, err, "'%s' holds the %s '%s', which is read; choose another", dir,
                               lf_key_name(id), input);
    }
    char **names;
    size_t count;
    const lf_status rc = lf_list_dir(&names, &count, dir, err);
    if (rc) return rc;
    lf_free(names);
    if (count == 0) return LF_OK;
    if (!lf_cfg_bool(cfg, LF_overwrite_output_dir))
        return lf_cfg_fail(cfg, LF_output_dir, err, "'%s' is not empty; choose another, or set overwrite_output_dir",
                           dir);
    for (; *files; files++)
        if (!lf_is_file_in(dir, *files))
            return lf_cfg_fail(cfg, LF_output_dir, err, "'%s' would be replaced, but is not %s (there is no %s)", dir,
                               what, *files);
    return LF_OK;
}

lf_status lf_check_output_file(const lf_config *cfg, lf_err *err) {
    const char *path = lf_cfg_str(cfg, LF_output_dir);
    if (lf_is_dir(path)) return lf_cfg_fail(cfg, LF_output_dir, err, "'%s' is a folder, expected a file", path);
    if (!lf_is_file(path) || lf_cfg_bool(cfg, LF_overwrite_output_dir)) return LF_OK;
    return lf_cfg_fail(cfg, LF_output_dir, err, "'%s' is there already; choose another, or set overwrite_output_dir",
                       path);
}

const char *lf_tokenizer_folder(const lf_opened *o, const lf_config *cfg) {
    const char *adapter = lf_cfg_str(cfg, LF_adapter);
    return adapter && lf_tokenizer_is_in(adapter) ? adapter : o->model->path;
}

const char *lf_chat_folder(const lf_config *cfg) {
    const char *adapter = lf_cfg_str(cfg, LF_adapter);
    return adapter && lf_is_file_in(adapter, LF_CHAT_TEMPLATE_JINJA) ? adapter : NULL;
}

/* What stands between the last '/' and the extension, of a folder's name between the last two. */
static char *stem(const char *path, const char *extension) {
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/') end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/') begin--;
    if (lf_has_extension(path, extension)) end -= strlen(extension) + 1;
    return lf_copy_text(path + begin, end - begin);
}

lf_status lf_file_facts(lf_file_names *out, const lf_opened *o, const lf_config *cfg, lf_err *err) {
    const char *path = lf_cfg_str(cfg, LF_output_dir);
    out->name = stem(path, "gguf");
    out->base = stem(o->model->path, "");
    out->facts = (lf_gguf_facts){path, lf_asked_dtype(cfg), out->name, out->base, lf_chat_folder(cfg)};
    return out->name && out->base ? LF_OK : lf_no_memory(err, "%s", path);
}

void lf_file_names_free(lf_file_names *n) {
    lf_free(n->name);
    lf_free(n->base);
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
