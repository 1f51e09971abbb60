/* GPT-2: learned positions, norms and layers with biases, q, k and v in one. Its files hold Conv1D weights as [in,out];
 * here, and in GGUF, they are [out,in] like all others. */
#include "gguf/form.h"
#include "model/gpt2.h"

static lf_status check(const lf_gguf_arch *a, const lf_model *m, lf_err *err) {
    const lf_gpt2 *v = m->impl;
    (void)a;
    if (!v->scale_by_size)
        return lf_gguf_lacks(m, "scale_attn_weights", "scores that are not divided by the heads' size", err);
    if (v->scale_by_layer)
        return lf_gguf_lacks(m, "scale_attn_by_inverse_layer_idx", "scores divided by the layer's number", err);
    if (v->activation != LF_GELU_TANH) return lf_gguf_lacks(m, "activation_function", "another activation", err);
    return LF_OK;
}

static void put_sizes(const lf_gguf_putting *p, const lf_gguf_arch *a, const lf_model *m) {
    const lf_gpt2 *v = m->impl;
    (void)a;
    lf_gguf_put_size(p, "feed_forward_length", v->intermediate_size);
    lf_gguf_put_size(p, "attention.head_count", v->heads);
    lf_gguf_put_real(p, "attention.layer_norm_epsilon", v->epsilon);
}

static const lf_gguf_renamed ends[] = {{"lm_head", "output"},
                                       {"transformer.wte", "token_embd"},
                                       {"transformer.wpe", "position_embd"},
                                       {"transformer.ln_f", "output_norm"},
                                       {NULL, NULL}};
static const lf_gguf_renamed in_layer[] = {{"ln_1", "attn_norm"},
                                           {"attn.c_attn", "attn_qkv"}, /* the rows of q, of k, of v */
                                           {"attn.c_proj", "attn_output"},
                                           {"ln_2", "ffn_norm"},
                                           {"mlp.c_fc", "ffn_up"},
                                           {"mlp.c_proj", "ffn_down"},
                                           {NULL, NULL}};

const lf_gguf_form lf_gguf_form_gpt2 = {.layers = "transformer.h.",
                                        .ends = ends,
                                        .in_layer = in_layer,
                                        .f32 = "position_embd.weight",
                                        .check = check,
                                        .put_sizes = put_sizes};
