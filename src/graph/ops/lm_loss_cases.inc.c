/* Cases of lm_loss.c for the gradient check: hidden, W, then bias, or A, B and bias. */

enum { MOST_ROWS = 800 };
static const int32_t labels[] = {2, -100, 0, 4, -1, 2}, none[] = {-100, -100, -100, -100, -100, -100};

/* The reference's frozen weight is W itself, row-major, so a case can borrow its input. */
static lf_lm_head head_of(lf_tensor **in, bool frozen) {
    static lf_frozen W;
    W = (lf_frozen){.out = in[1]->shape[0], .in = in[1]->shape[1], .data = in[1]->data, .act_dtype = LF_F64};
    return (lf_lm_head){.frozen = frozen ? &W : NULL, .weight = frozen ? NULL : in[1]};
}
static lf_tensor *with(lf_graph *g, lf_tensor **in, bool frozen, double smoothing) {
    const lf_lm_head head = head_of(in, frozen);
    return lf_lm_loss(g, in[0], &head, labels, 3, smoothing, NULL);
}
static lf_tensor *with_bias(lf_graph *g, lf_tensor **in, bool frozen, double scale, double softcap) {
    lf_lm_head head = head_of(in, frozen);
    head.bias = in[2];
    head.scale = scale;
    head.softcap = softcap;
    return lf_add(g, lf_lm_loss(g, in[0], &head, labels, 3, 0.1, NULL),
                  lf_lm_loss(g, in[0], &head, labels, 2, 0, NULL));
}
static lf_tensor *build_frozen_bias(lf_graph *g, lf_tensor **in) { return with_bias(g, in, true, 0, 0); }
static lf_tensor *build_trained_bias(lf_graph *g, lf_tensor **in) { return with_bias(g, in, false, 0, 0); }
static lf_tensor *build_frozen_all(lf_graph *g, lf_tensor **in) { return with_bias(g, in, true, 0.3, 1.5); }
static lf_tensor *build_trained_all(lf_graph *g, lf_tensor **in) { return with_bias(g, in, false, 0.3, 1.5); }
static lf_tensor *build_scale(lf_graph *g, lf_tensor **in) {
    lf_lm_head head = head_of(in, false);
    head.scale = 1.7;
    return lf_lm_loss(g, in[0], &head, labels, 3, 0, NULL);
}
static lf_tensor *build_softcap(lf_graph *g, lf_tensor **in) {
    lf_lm_head head = head_of(in, true);
    head.softcap = 0.7;
    return lf_lm_loss(g, in[0], &head, labels, 3, 0, NULL);
}
static lf_tensor *build_frozen(lf_graph *g, lf_tensor **in) { return with(g, in, true, 0); }
static lf_tensor *build_trained(lf_graph *g, lf_tensor **in) { return with(g, in, false, 0); }
static lf_tensor *build_frozen_smooth(lf_graph *g, lf_tensor **in) {
    return lf_add(g, with(g, in, true, 0.1), with(g, in, true, 0));
}
static lf_tensor *build_trained_smooth(lf_graph *g, lf_tensor **in) {
    return lf_add(g, with(g, in, false, 0.1), with(g, in, false, 0));
}
static lf_tensor *build_no_target(lf_graph *g, lf_tensor **in) {
    const lf_lm_head head = head_of(in, false);
    return lf_lm_loss(g, in[0], &head, none, 1, 0, NULL);
}
/* More rows than a block takes; every third has no target. */
static lf_tensor *build_blocks(lf_graph *g, lf_tensor **in, bool frozen) {
    static int32_t many[MOST_ROWS];
    const lf_lm_head head = head_of(in, frozen);
    for (int32_t i = 0; i < MOST_ROWS; i++) many[i] = i % 3 == 2 ? -100 : i % 2;
    return lf_lm_loss(g, in[0], &head, many, 10, 0, NULL);
}
static lf_tensor *build_blocks_frozen(lf_graph *g, lf_tensor **in) { return build_blocks(g, in, true); }
static lf_tensor *build_blocks_trained(lf_graph *g, lf_tensor **in) { return build_blocks(g, in, false); }

/* ---- with an adapter, whose own tensors a case's inputs take the place of ---- */

static lf_lora case_lora;
static double A0[2 * 4], B0[5 * 2];

static lf_tensor *lora_loss(lf_graph *g, lf_tensor **in, lf_lm_head head, bool delta, double dropout, double smoothing,
                            const int32_t *of) {
    case_lora = (lf_lora){.r = in[2]->shape[0], .scaling = 1.7, .dropout = dropout, .A = *in[2], .B = *in[3]};
    for (int i = 0; i < 8; i++) A0[i] = 0.3 * i - 1;
    for (int i = 0; i < 10; i++) B0[i] = 0.7 - 0.2 * i;
    case_lora.A0 = delta ? A0 : NULL;
    case_lora.B0 = delta ? B0 : NULL;
    head.lora = &case_lora;
    const attributes a = {.head = head, .labels = of, .normalizer = 3, .smoothing = smoothing};
    lf_tensor *const inputs[] = {in[0], head.weight, head.bias, in[2], in[3]};
    return lf_graph_apply(g, &lf_op_lm_loss, INPUTS, inputs, &a, sizeof a);
}
static lf_tensor *build_lora(lf_graph *g, lf_tensor **in) {
    return lora_loss(g, in, head_of(in, true), false, 0, 0, labels);
}
static lf_tensor *build_lora_trained(lf_graph *g, lf_tensor **in) {
    return lora_loss(g, in, head_of(in, false), false, 0, 0.1, labels);
}
static lf_tensor *build_lora_no_target(lf_graph *g, lf_tensor **in) {
    return lora_loss(g, in, head_of(in, true), true, 0, 0, none);
}
static lf_tensor *build_lora_delta_twice(lf_graph *g, lf_tensor **in) {
    return lf_add(g, lora_loss(g, in, head_of(in, true), true, 0, 0.1, labels),
                  lora_loss(g, in, head_of(in, true), true, 0, 0, labels));
}
static lf_tensor *build_lora_dropout(lf_graph *g, lf_tensor **in) {
    return lora_loss(g, in, head_of(in, true), true, 0.4, 0, labels);
}
static lf_tensor *build_lora_trained_dropout(lf_graph *g, lf_tensor **in) {
    return lora_loss(g, in, head_of(in, false), true, 0.4, 0, labels);
}
static lf_tensor *lora_all(lf_graph *g, lf_tensor **in, bool frozen) {
    lf_lm_head head = head_of(in, frozen);
    head.bias = in[4];
    head.scale = 0.3;
    head.softcap = 1.5;
    return lora_loss(g, in, head, true, 0, 0.1, labels);
}
static lf_tensor *build_lora_all(lf_graph *g, lf_tensor **in) { return lora_all(g, in, true); }
static lf_tensor *build_lora_trained_all(lf_graph *g, lf_tensor **in) { return lora_all(g, in, false); }
static lf_tensor *build_lora_scale(lf_graph *g, lf_tensor **in) {
    lf_lm_head head = head_of(in, true);
    head.scale = 1.7;
    return lora_loss(g, in, head, false, 0, 0, labels);
}
static lf_tensor *lora_blocks(lf_graph *g, lf_tensor **in, bool frozen, double dropout) {
    static int32_t many[MOST_ROWS];
    for (int32_t i = 0; i < MOST_ROWS; i++) many[i] = i % 3 == 2 ? -100 : i % 2;
    return lora_loss(g, in, head_of(in, frozen), false, dropout, 0, many);
}
static lf_tensor *build_lora_blocks(lf_graph *g, lf_tensor **in) { return lora_blocks(g, in, true, 0); }
static lf_tensor *build_lora_blocks_trained(lf_graph *g, lf_tensor **in) { return lora_blocks(g, in, false, 0); }
static lf_tensor *build_lora_blocks_dropout(lf_graph *g, lf_tensor **in) { return lora_blocks(g, in, false, 0.3); }

/* ---- from what a base says, of as many words or of the first three ---- */

enum { BASE_C = 2 };
static double of_base_hidden[MOST_ROWS * BASE_C], of_base_W[5 * BASE_C];

/* The case's second input is the tuned weight alone. */
static lf_tensor *divergence_of(lf_graph *g, lf_tensor **in, lf_lm_head head, int64_t words, const int32_t *of,
                                bool without_label) {
    static lf_frozen W;
    for (int i = 0; i < MOST_ROWS * BASE_C; i++) of_base_hidden[i] = i * 7 % 11 * 0.3 - 1.2;
    for (int i = 0; i < 5 * BASE_C; i++) of_base_W[i] = 0.9 - 0.25 * i;
    W = (lf_frozen){.out = words, .in = BASE_C, .data = of_base_W, .act_dtype = LF_F64};
    const lf_lm_head base = {.frozen = &W, .scale = 1.3};
    return lf_lm_kl_to(g, in[0], &head, of_base_hidden, &base, of, without_label, 3, NULL);
}
static lf_tensor *divergence(lf_graph *g, lf_tensor **in, lf_lm_head head, int64_t words, const int32_t *of) {
    return divergence_of(g, in, head, words, of, false);
}
static lf_tensor *build_kl_frozen(lf_graph *g, lf_tensor **in) {
    return divergence(g, in, head_of(in, true), 5, labels);
}
static lf_tensor *build_kl_trained(lf_graph *g, lf_tensor **in) {
    return lf_add(g, divergence(g, in, head_of(in, false), 5, labels), with(g, in, false, 0.1));
}
static lf_tensor *build_kl_no_target(lf_graph *g, lf_tensor **in) {
    return divergence(g, in, head_of(in, true), 5, none);
}
static lf_tensor *kl_all(lf_graph *g, lf_tensor **in, bool frozen) {
    lf_lm_head head = head_of(in, frozen);
    head.bias = in[2];
    head.scale = 0.3;
    head.softcap = 1.5;
    return divergence(g, in, head, 3, labels);
}
static lf_tensor *build_kl_frozen_all(lf_graph *g, lf_tensor **in) { return kl_all(g, in, true); }
static lf_tensor *build_kl_trained_all(lf_graph *g, lf_tensor **in) { return kl_all(g, in, false); }
static lf_tensor *kl_blocks(lf_graph *g, lf_tensor **in, bool frozen, bool without_label) {
    static int32_t many[MOST_ROWS];
    const int32_t words = (int32_t)in[1]->shape[0];
    for (int32_t i = 0; i < MOST_ROWS; i++) many[i] = i % 3 == 2 ? -100 : without_label ? i % words : 0;
    return divergence_of(g, in, head_of(in, frozen), words, many, without_label);
}
static lf_tensor *build_kl_blocks_frozen(lf_graph *g, lf_tensor **in) { return kl_blocks(g, in, true, false); }
static lf_tensor *build_kl_blocks_trained(lf_graph *g, lf_tensor **in) { return kl_blocks(g, in, false, false); }

/* Without the label, which the base may not have (4), and beside the loss that learns it. */
static lf_tensor *without_all(lf_graph *g, lf_tensor **in, bool frozen) {
    lf_lm_head head = head_of(in, frozen);
    head.bias = in[2];
    head.scale = 0.3;
    head.softcap = 1.5;
    return divergence_of(g, in, head, 3, labels, true);
}
static lf_tensor *build_without_frozen(lf_graph *g, lf_tensor **in) { return without_all(g, in, true); }
static lf_tensor *build_without_trained(lf_graph *g, lf_tensor **in) { return without_all(g, in, false); }
static lf_tensor *build_without_and_loss(lf_graph *g, lf_tensor **in) {
    return lf_add(g, divergence_of(g, in, head_of(in, false), 5, labels, true), with(g, in, false, 0));
}
static lf_tensor *build_without_blocks(lf_graph *g, lf_tensor **in) { return kl_blocks(g, in, false, true); }

#define WITH_LORA(hidden_constant, W_constant)                                                                         \
    {3, {2, 3, 4}, hidden_constant}, {2, {5, 4}, W_constant}, {2, {2, 4}, false}, { 2, {5, 2}, false }

static const lf_op_case cases[] = {
    {"frozen", 2, {{3, {2, 3, 4}, false}, {2, {5, 4}, true}}, build_frozen, 1e-7},
    {"frozen, smoothing, two losses", 2, {{3, {2, 3, 4}, false}, {2, {5, 4}, true}}, build_frozen_smooth, 1e-7},
    {"trained", 2, {{3, {2, 3, 4}, false}, {2, {5, 4}, false}}, build_trained, 1e-7},
    {"trained, smoothing, two losses", 2, {{3, {2, 3, 3}, false}, {2, {7, 3}, false}}, build_trained_smooth, 1e-7},
    {"weight only", 2, {{3, {2, 3, 4}, true}, {2, {5, 4}, false}}, build_trained, 1e-7},
    {"hidden only", 2, {{3, {2, 3, 4}, false}, {2, {5, 4}, true}}, build_trained, 1e-7},
    {"one row, one channel", 2, {{2, {1, 1}, false}, {2, {3, 1}, false}}, build_trained, 1e-7},
    {"no target", 2, {{2, {2, 3}, false}, {2, {4, 3}, false}}, build_no_target, 1e-7},
    {"frozen, bias", 3, {{3, {2, 3, 4}, false}, {2, {5, 4}, true}, {1, {5}, false}}, build_frozen_bias, 1e-7},
    {"frozen, constant bias, scale, softcap",
     3,
     {{3, {2, 3, 4}, false}, {2, {5, 4}, true}, {1, {5}, true}},
     build_frozen_all,
     1e-7},
    {"frozen, bias, scale, softcap",
     3,
     {{3, {2, 3, 4}, false}, {2, {5, 4}, true}, {1, {5}, false}},
     build_frozen_all,
     1e-7},
    {"trained, bias", 3, {{3, {2, 3, 4}, false}, {2, {5, 4}, false}, {1, {5}, false}}, build_trained_bias, 1e-7},
    {"trained, bias, scale, softcap",
     3,
     {{3, {2, 3, 4}, false}, {2, {5, 4}, false}, {1, {5}, false}},
     build_trained_all,
     1e-7},
    {"bias only", 3, {{3, {2, 3, 4}, true}, {2, {5, 4}, true}, {1, {5}, false}}, build_frozen_all, 1e-7},
    {"trained, scale", 2, {{3, {2, 3, 4}, false}, {2, {5, 4}, false}}, build_scale, 1e-7},
    {"frozen, softcap", 2, {{3, {2, 3, 4}, false}, {2, {5, 4}, true}}, build_softcap, 1e-7},
    {"blocks, frozen", 2, {{2, {MOST_ROWS, 1}, false}, {2, {2, 1}, true}}, build_blocks_frozen, 1e-7},
    {"blocks, trained", 2, {{2, {MOST_ROWS, 1}, true}, {2, {2, 1}, false}}, build_blocks_trained, 1e-7},
    {"lora", 4, {WITH_LORA(false, true)}, build_lora, 1e-7},
    {"lora alone", 4, {WITH_LORA(true, true)}, build_lora, 1e-7},
    {"lora, trained weight, smoothing", 4, {WITH_LORA(false, false)}, build_lora_trained, 1e-7},
    {"lora, delta form, two losses", 4, {WITH_LORA(false, true)}, build_lora_delta_twice, 1e-7},
    {"lora, no target", 4, {WITH_LORA(false, true)}, build_lora_no_target, 1e-7},
    {"lora, dropout", 4, {WITH_LORA(false, true)}, build_lora_dropout, 1e-7},
    {"lora alone, dropout", 4, {WITH_LORA(true, true)}, build_lora_dropout, 1e-7},
    {"lora, trained weight, dropout", 4, {WITH_LORA(false, false)}, build_lora_trained_dropout, 1e-7},
    {"lora, scale", 4, {WITH_LORA(false, true)}, build_lora_scale, 1e-7},
    {"lora, bias, scale, softcap", 5, {WITH_LORA(false, true), {1, {5}, false}}, build_lora_all, 1e-7},
    {"lora, trained weight, bias, scale, softcap",
     5,
     {WITH_LORA(false, false), {1, {5}, false}},
     build_lora_trained_all,
     1e-7},
    {"lora, one row, one channel",
     4,
     {{2, {1, 1}, false}, {2, {3, 1}, true}, {2, {2, 1}, false}, {2, {3, 2}, false}},
     build_lora,
     1e-7},
    {"lora, blocks",
     4,
     {{2, {MOST_ROWS, 1}, true}, {2, {2, 1}, true}, {2, {1, 1}, false}, {2, {2, 1}, false}},
     build_lora_blocks,
     1e-7},
    {"lora, blocks, trained weight",
     4,
     {{2, {MOST_ROWS, 1}, true}, {2, {2, 1}, false}, {2, {1, 1}, false}, {2, {2, 1}, false}},
     build_lora_blocks_trained,
     1e-7},
    {"lora, blocks, trained weight, dropout",
     4,
     {{2, {MOST_ROWS, 1}, true}, {2, {2, 1}, false}, {2, {1, 1}, false}, {2, {2, 1}, false}},
     build_lora_blocks_dropout,
     1e-7},
    {"kl, frozen", 2, {{3, {2, 3, 4}, false}, {2, {5, 4}, true}}, build_kl_frozen, 1e-7},
    {"kl and loss, trained", 2, {{3, {2, 3, 4}, false}, {2, {5, 4}, false}}, build_kl_trained, 1e-7},
    {"kl, no target", 2, {{3, {2, 3, 4}, false}, {2, {5, 4}, true}}, build_kl_no_target, 1e-7},
    {"kl, words the base has not, bias, scale, softcap, frozen",
     3,
     {{3, {2, 3, 4}, false}, {2, {5, 4}, true}, {1, {5}, false}},
     build_kl_frozen_all,
     1e-7},
    {"kl, words the base has not, bias, scale, softcap, trained",
     3,
     {{3, {2, 3, 4}, false}, {2, {5, 4}, false}, {1, {5}, false}},
     build_kl_trained_all,
     1e-7},
    {"kl, blocks, frozen", 2, {{2, {MOST_ROWS, 1}, false}, {2, {2, 1}, true}}, build_kl_blocks_frozen, 1e-7},
    {"kl, blocks, trained", 2, {{2, {MOST_ROWS, 1}, true}, {2, {2, 1}, false}}, build_kl_blocks_trained, 1e-7},
    {"kl without the label, words the base has not, bias, scale, softcap, frozen",
     3,
     {{3, {2, 3, 4}, false}, {2, {5, 4}, true}, {1, {5}, false}},
     build_without_frozen,
     1e-7},
    {"kl without the label, words the base has not, bias, scale, softcap, trained",
     3,
     {{3, {2, 3, 4}, false}, {2, {5, 4}, false}, {1, {5}, false}},
     build_without_trained,
     1e-7},
    {"kl without the label, and loss", 2, {{3, {2, 3, 4}, false}, {2, {5, 4}, false}}, build_without_and_loss, 1e-7},
    {"kl without the label, blocks", 2, {{2, {MOST_ROWS, 1}, true}, {2, {3, 1}, false}}, build_without_blocks, 1e-7},
    {.name = NULL},
};
