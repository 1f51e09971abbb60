/* Cases of linear.c for the gradient check: x, W, bias, A, B, [A0 and B0 as shifted copies]. */
/* The reference's frozen weight is W itself, row-major, so a case can borrow its input. */
static lf_frozen borrowed;
static lf_lora case_lora;
static double A0[2 * 4], B0[3 * 2];

static lf_lora *lora_of(lf_tensor **in, int a, bool delta, double dropout) {
    case_lora = (lf_lora){.r = in[a]->shape[0], .scaling = 1.7, .dropout = dropout, .A = *in[a], .B = *in[a + 1]};
    if (delta) {
        for (int i = 0; i < 8; i++) A0[i] = 0.3 * i - 1;
        for (int i = 0; i < 6; i++) B0[i] = 0.7 - 0.2 * i;
        case_lora.A0 = A0;
        case_lora.B0 = B0;
    }
    return &case_lora;
}
static const lf_frozen *frozen_of(const lf_tensor *W) {
    borrowed = (lf_frozen){.out = W->shape[0], .in = W->shape[1], .data = W->data};
    return &borrowed;
}
/* lf_linear takes the adapter's own tensors; a case's are its inputs, so they are put in their place. */
static lf_tensor *with_lora(lf_graph *g, lf_tensor **in, bool delta, double dropout) {
    lf_lora *l = lora_of(in, 3, delta, dropout);
    const attributes a = {frozen_of(in[1]), 1, {{in[1]->shape[0], l}}};
    return lf_graph_apply(g, &lf_op_linear, 5, (lf_tensor *[]){in[0], NULL, in[2], in[3], in[4]}, &a, sizeof a);
}
static lf_tensor *build_trained(lf_graph *g, lf_tensor **in) { return lf_linear(g, in[0], NULL, in[1], in[2], NULL); }
static lf_tensor *build_no_bias(lf_graph *g, lf_tensor **in) {
    return lf_add(g, lf_linear(g, in[0], NULL, in[1], NULL, NULL), lf_linear(g, in[0], NULL, in[1], NULL, NULL));
}
static lf_tensor *build_frozen(lf_graph *g, lf_tensor **in) {
    return lf_linear(g, in[0], frozen_of(in[1]), NULL, in[2], NULL);
}
static lf_tensor *build_lora(lf_graph *g, lf_tensor **in) { return with_lora(g, in, false, 0); }
static lf_tensor *build_delta(lf_graph *g, lf_tensor **in) { return with_lora(g, in, true, 0); }
static lf_tensor *build_dropout(lf_graph *g, lf_tensor **in) { return with_lora(g, in, true, 0.4); }

/* Three layers over one x: the second has no adapter and no bias, the third a plain one. W is all their weights. */
static lf_tensor *build_parts(lf_graph *g, lf_tensor **in) {
    static lf_lora plain;
    lf_lora *l = lora_of(in, 3, true, 0);
    plain = (lf_lora){.r = in[5]->shape[0], .scaling = 0.6, .A = *in[5], .B = *in[6]};
    const attributes a = {frozen_of(in[1]), 3, {{3, l}, {2, NULL}, {1, &plain}}};
    return lf_graph_apply(
        g, &lf_op_linear, 13,
        (lf_tensor *[]){in[0], NULL, in[2], in[3], in[4], NULL, NULL, NULL, NULL, NULL, in[7], in[5], in[6]}, &a,
        sizeof a);
}
static lf_tensor *build_parts_dropout(lf_graph *g, lf_tensor **in) {
    static lf_lora plain;
    lf_lora *l = lora_of(in, 3, true, 0.4);
    plain = (lf_lora){.r = in[5]->shape[0], .scaling = 0.6, .dropout = 0.3, .A = *in[5], .B = *in[6]};
    const attributes a = {frozen_of(in[1]), 2, {{3, l}, {3, &plain}}};
    return lf_graph_apply(g, &lf_op_linear, 9,
                          (lf_tensor *[]){in[0], NULL, in[2], in[3], in[4], NULL, NULL, in[5], in[6]}, &a, sizeof a);
}
/* The second has no dropout, but a place in the product of those that have. */
static lf_tensor *build_parts_dropout_in_one(lf_graph *g, lf_tensor **in) {
    static lf_lora plain;
    lf_lora *l = lora_of(in, 3, true, 0.4);
    plain = (lf_lora){.r = in[5]->shape[0], .scaling = 0.6, .A = *in[5], .B = *in[6]};
    const attributes a = {frozen_of(in[1]), 2, {{3, l}, {3, &plain}}};
    return lf_graph_apply(g, &lf_op_linear, 9,
                          (lf_tensor *[]){in[0], NULL, in[2], in[3], in[4], NULL, NULL, in[5], in[6]}, &a, sizeof a);
}
static lf_tensor *build_parts_trained(lf_graph *g, lf_tensor **in) {
    const lf_linear_part parts[] = {{3, in[1], in[2], NULL}, {2, in[3], NULL, NULL}};
    return lf_linear_group(g, in[0], NULL, parts, 2);
}

#define X_3D                                                                                                           \
    { 3, {2, 3, 4}, false }
#define W_34(constant)                                                                                                 \
    { 2, {3, 4}, constant }
#define AB                                                                                                             \
    {2, {2, 4}, false}, { 2, {3, 2}, false }
static const lf_op_case cases[] = {
    {"trained", 3, {X_3D, W_34(false), {1, {3}, false}}, build_trained, 1e-8},
    {"trained, used twice", 2, {X_3D, W_34(false)}, build_no_bias, 1e-8},
    {"frozen", 3, {X_3D, W_34(true), {1, {3}, false}}, build_frozen, 1e-8},
    {"lora", 5, {X_3D, W_34(true), {1, {3}, true}, AB}, build_lora, 1e-8},
    {"lora, delta form", 5, {X_3D, W_34(true), {1, {3}, false}, AB}, build_delta, 1e-8},
    {"lora, delta form, dropout", 5, {X_3D, W_34(true), {1, {3}, true}, AB}, build_dropout, 1e-8},
    {"lora, x constant", 5, {{2, {5, 4}, true}, W_34(true), {1, {3}, true}, AB}, build_delta, 1e-8},
    {"three parts",
     8,
     {X_3D, {2, {6, 4}, true}, {1, {3}, false}, AB, {2, {1, 4}, false}, {2, {1, 1}, false}, {1, {1}, false}},
     build_parts,
     1e-8},
    {"two parts, dropout",
     7,
     {X_3D, {2, {6, 4}, true}, {1, {3}, true}, AB, {2, {1, 4}, false}, {2, {3, 1}, false}},
     build_parts_dropout,
     1e-8},
    {"two parts, dropout in one",
     7,
     {X_3D, {2, {6, 4}, true}, {1, {3}, true}, AB, {2, {1, 4}, false}, {2, {3, 1}, false}},
     build_parts_dropout_in_one,
     1e-8},
    {"two parts, trained", 4, {X_3D, W_34(false), {1, {3}, false}, {2, {2, 4}, false}}, build_parts_trained, 1e-8},
    {.name = NULL},
};
