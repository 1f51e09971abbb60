/* Every op of the table, every case: analytic gradients against finite differences in double. Nobody has to remember.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "graph/graph.h"

static void test_all_ops(void **state) {
    (void)state;
    for (int i = 0; i < lf_n_ops; i++) {
        assert_non_null(lf_ops[i]->cases);
        assert_non_null(lf_ops[i]->cases[0].name);
        for (const lf_op_case *c = lf_ops[i]->cases; c->name; c++)
            for (uint64_t seed = 0; seed < 3; seed++) {
                lf_err err = {0};
                const double error = lf_gradcheck(c, seed, &err);
                if (!(error <= c->tolerance))
                    fail_msg("%s/%s, seed %d: relative error %g > %g %s", lf_ops[i]->name, c->name, (int)seed, error,
                             c->tolerance, err.message);
            }
    }
    assert_int_equal(lf_alloc_live(), 0);
}

/* The check itself must be able to fail: an op whose backward is off by one part in a thousand is found. */
static lf_status twice_shape(lf_node *n, lf_err *err) {
    (void)err;
    n->out->ndim = 1;
    n->out->shape[0] = n->in[0]->numel;
    return LF_OK;
}
static void twice_forward(lf_graph *g, lf_node *n) {
    (void)g;
    for (int64_t i = 0; i < n->out->numel; i++) ((double *)n->out->data)[i] = 2 * ((double *)n->in[0]->data)[i];
}
static void twice_backward(lf_graph *g, lf_node *n) {
    bool add;
    double *dx = lf_grad_out(g, n, 0, &add);
    for (int64_t i = 0; i < n->out->numel; i++) dx[i] += 2.002 * ((double *)n->out->grad)[i];
}
static const lf_op wrong = {
    .name = "wrong", .shape = twice_shape, .forward = twice_forward, .backward = twice_backward};
static lf_tensor *build_wrong(lf_graph *g, lf_tensor **in) { return lf_graph_apply(g, &wrong, 1, in, NULL, 0); }

static void test_finds_a_wrong_gradient(void **state) {
    (void)state;
    const lf_op_case c = {"wrong", 1, {{1, {5}, false}}, build_wrong, 1e-6};
    lf_err err = {0};
    const double error = lf_gradcheck(&c, 1, &err);
    assert_true(error > 5e-4 && error < 5e-3);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_ops), cmocka_unit_test(test_finds_a_wrong_gradient)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
