/* What the files of this folder share. */
#ifndef LF_MODEL_MODEL_INTERNAL_H
#define LF_MODEL_MODEL_INTERNAL_H

#include "model/model.h"

const char *lf_param_written_name(const lf_param *p); /* in a file that we write */
/* Its values from the file, in our orientation; false when out of memory. Several threads may read at a time.
 * lf_param_read: as the model computes with them (plus_one). */
bool lf_param_stored(const lf_model *m, const lf_param *p, const lf_st_tensor *t, float *out);
bool lf_param_read(const lf_model *m, const lf_param *p, const lf_st_tensor *t, float *out);
/* Where its numbers stand in the file as the model computes with them, if that is in `type`; NULL: nowhere. */
const void *lf_param_in_place(const lf_param *p, const lf_st_tensor *t, lf_dtype type);
/* Its values now: from memory where they are held, else from the model's file. LF_EDATA if there are none. */
lf_status lf_param_values(const lf_model *m, const lf_param *p, float *out, lf_err *err);
/* LF_ESHAPE, LF_EUNSUPPORTED, LF_EDATA where t cannot be p: its shape, its type, numbers that floats do not hold. */
lf_status lf_param_check(const lf_model *m, const lf_param *p, const lf_st_tensor *t, lf_err *err);
/* LF_EDATA: the file holds a tensor that nothing of the model asked for, or two under names of one that differ. */
lf_status lf_model_check_all_used(const lf_model *m, lf_err *err);
/* All parameters from the file, as m->opts says; sets base_head. LF_EDATA where one is missing that must not be. */
lf_status lf_model_load_all(lf_model *m, lf_err *err);
int64_t lf_model_largest_param(const lf_model *m); /* how many numbers it has */
/* Is the head that says masked tokens in the file? Without it the model is one without that head. */
bool lf_model_has_masked_head(const lf_model *m);
void lf_model_drop_masked_head(lf_model *m);
/* Has the file the module's weight or bias (of a file that is cut off: not all of them)? */
bool lf_model_file_has(const lf_model *m, const lf_module *module);
/* LF_OK if `path` is a folder with config.json and weights, or nothing better can be said of it than who opens them
 * does; else what it is (an adapter, a file, a name on a hub, weights in a form that is not read), and what to do. */
lf_status lf_model_explain_folder(const char *path, lf_err *err);
/* LF_EDATA: what a config.json (at `path`) without model_type is. */
lf_status lf_model_explain_config(const cJSON *config, const char *path, lf_err *err);

/* A copy in the graph's memory, which is there until its next step. NULL: the graph has failed. */
lf_pass *lf_pass_keep(lf_graph *g, const lf_pass *pass);

/* Does it begin behind the frozen layers? Then no x is made for lf_model_layers. */
bool lf_pass_begins_late(const lf_pass *pass);
/* x through n layers, of `size` bytes each; x is done. remake: a layer's activations are made again in backward. */
typedef lf_tensor *(*lf_layer_fn)(const void *layer, const lf_pass *pass, lf_graph *g, lf_tensor *x);
lf_tensor *lf_model_layers(lf_graph *g, lf_layer_fn layer, const lf_pass *pass, const void *layers, size_t size,
                           int64_t n, bool remake, lf_tensor *x);

struct lf_kv_cache {
    int64_t n_layers, width, capacity, n;
    size_t number; /* bytes */
    char **layers; /* each [capacity, width] */
};
struct lf_cached_texts {
    const lf_cached_text *texts;
    int64_t n;
};
/* lf_attention of one layer, each text's also over the keys and values of its earlier tokens, behind which it puts
 * those of its own columns of qkv [1,n,..]. q_width: numbers of a token's queries. */
lf_tensor *lf_kv_attention(const lf_cached_texts *c, lf_graph *g, int64_t layer, lf_tensor *qkv, int64_t q_width,
                           const lf_attention_opts *opts);

#endif
