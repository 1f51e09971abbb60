/* Which families of models llama.cpp knows, by which names, and what of their settings it has. */
#ifndef LF_GGUF_ARCH_H
#define LF_GGUF_ARCH_H

#include "gguf/format.h"
#include "model/model.h"

typedef struct lf_gguf_arch lf_gguf_arch; /* a row of the table in arch.c */

/* LF_EUNSUPPORTED, naming file and key, where llama.cpp lacks the family or would compute something else of what
 * config.json asks for; a model that says no next tokens is refused, too. Where it only sees more of long texts than
 * the model does (a window that it does not have), that is a warning. */
lf_status lf_gguf_arch_of(const lf_gguf_arch **out, const lf_model *m, lf_err *err);
const char *lf_gguf_arch_name(const lf_gguf_arch *a);
/* "llama.block_count" and the like. */
void lf_gguf_put_sizes(lf_gguf_writer *w, const lf_gguf_arch *a, const lf_model *m);
/* "blk.0.attn_q.weight" for "model.layers.0.self_attn.q_proj.weight", freed by lf_free. LF_EUNSUPPORTED: llama.cpp has
 * no such tensor in this family. */
lf_status lf_gguf_tensor_name(char **out, const lf_gguf_arch *a, const lf_model *m, const char *param, lf_err *err);
/* A matrix that llama.cpp's own files have in F32 whatever the others are, by its name there. */
bool lf_gguf_stays_f32(const lf_gguf_arch *a, const char *tensor);
/* Some families turn neighbouring numbers of a head where transformers turns number i with i + head_dim / 2: rows of q
 * and k, and their biases, stand in another order then. The number of heads; 0: as they are. */
int64_t lf_gguf_turned_heads(const lf_gguf_arch *a, const lf_model *m, const char *param);
/* The rows of each of `heads` heads, [rows, n] from `from` to `to`: row s of half h of a head becomes its row 2 s + h.
 */
void lf_gguf_turn_rows(float *to, const float *from, int64_t heads, int64_t rows, int64_t n);
/* What frequencies of rotary positions are divided by beside theta's powers, [*n], written as the tensor
 * "rope_freqs.weight"; *n 0: nothing. */
void lf_gguf_rope_factors(float *out, int64_t *n, const lf_gguf_arch *a, const lf_model *m);

#endif
