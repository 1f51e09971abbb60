/* A pass over a data set whose logits are kept and written. */
#include <string.h>

#include "base/mem.h"
#include "base/world.h"
#include "eval/eval.h"
#include "eval/eval_internal.h"

/* All of them: safetensors wants a tensor's size before its bytes, and a picture that is left out changes it. N x
 * classes floats. */
typedef struct logits_kept {
    float *values;
    int64_t rows, capacity;
} logits_kept;

static lf_status keep(void *context, const lf_example_batch *b, const float *features, const float *logits, int64_t V,
                      lf_err *err) {
    (void)features;
    logits_kept *kept = context;
    if (kept->rows + b->in.B > kept->capacity) return lf_fail(err, LF_EFAIL, "more examples than the data set said");
    memcpy(kept->values + kept->rows * V, logits, (size_t)(b->in.B * V) * sizeof *logits);
    kept->rows += b->in.B;
    return LF_OK;
}

static lf_status write_logits(const char *path, const logits_kept *kept, int64_t V, lf_err *err) {
    lf_st_writer *w = NULL;
    lf_status rc;
    if (!(rc = lf_st_writer_new(&w, path, err)) &&
        !(rc = lf_st_writer_declare(w, "logits", LF_F32, 2, (int64_t[]){kept->rows, V}, err)) &&
        !(rc = lf_st_writer_write_f32(w, kept->values, kept->rows * V, err))) {
        rc = lf_st_writer_commit(w, err);
        w = NULL;
    }
    lf_st_writer_abort(w);
    return rc;
}

lf_status lf_evaluate_saving(lf_accuracy *out, lf_model *m, lf_graph *g, lf_module *head, lf_examples *e,
                             const lf_eval_opts *opts, const char *path, lf_err *err) {
    logits_kept kept = {.capacity = e->count};
    kept.values = lf_aligned_alloc((size_t)(kept.capacity * head->out) * sizeof *kept.values);
    if (!kept.values)
        return lf_no_memory(err, "the logits of %lld examples x %lld classes; try max_samples",
                            (long long)kept.capacity, (long long)head->out);
    lf_status rc = lf_evaluate(out, m, g, head, e, opts, keep, &kept, err);
    if (!rc && lf_world_is_first()) rc = write_logits(path, &kept, head->out, err);
    lf_aligned_free(kept.values);
    return rc;
}
