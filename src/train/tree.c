#include "train/tree.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/world.h"

static int levels_of(int64_t leaves) {
    int levels = 0;
    while (((int64_t)1 << levels) < leaves) levels++;
    return levels;
}

static int buffers_of(int64_t leaves) { return levels_of(leaves) + (lf_world_size() > 1); }

int64_t lf_tree_bytes(int64_t leaves, int64_t numbers) { return buffers_of(leaves) * numbers * (int64_t)sizeof(float); }

/* Rank r has the leaves from r leaves / size on, rounded up: so rank 0 has the first, of however many. */
static int64_t begin_of(int64_t leaves, int rank) { return (leaves * rank + lf_world_size() - 1) / lf_world_size(); }
static int owner_of(int64_t leaves, int64_t leaf) { return (int)(leaf * lf_world_size() / leaves); }
static float **buffer(lf_tree *t, int i) { return i < t->levels ? &t->held[i] : &t->outgoing; }

lf_status lf_tree_new(lf_tree *t, const lf_kernels *k, const lf_trainable *list, int64_t count, int64_t leaves,
                      lf_err *err) {
    *t = (lf_tree){.k = k->wide, .list = list, .count = count, .leaves = leaves, .levels = levels_of(leaves)};
    assert(t->levels < LF_TREE_LEVELS && t->k->dtype == LF_F32);
    for (int64_t i = 0; i < count; i++) t->numbers += list[i].tensor->numel;
    t->begin = begin_of(leaves, lf_world_rank());
    t->end = begin_of(leaves, lf_world_rank() + 1);
    for (int i = 0; i < buffers_of(leaves); i++)
        if (!(*buffer(t, i) = lf_aligned_alloc((size_t)t->numbers * sizeof(float)))) {
            lf_tree_free(t);
            return lf_no_memory(err,
                                "the sum of %lld micro-batches, %d times the gradients (%lld numbers); try fewer "
                                "gradient_accumulation_steps of a larger per_device_train_batch_size",
                                (long long)leaves, buffers_of(leaves), (long long)t->numbers);
        }
    return LF_OK;
}

void lf_tree_free(lf_tree *t) {
    for (int i = 0; i < LF_TREE_LEVELS; i++) {
        lf_aligned_free(t->held[i]);
        t->held[i] = NULL;
    }
    lf_aligned_free(t->outgoing);
    t->outgoing = NULL;
}

lf_portion lf_tree_portion(const lf_tree *t) { return (lf_portion){t->leaves, t->begin, t->end - t->begin}; }

/* ---- gradients and a buffer ---- */

static void hold(const lf_tree *t, float *to) {
    for (int64_t i = 0; i < t->count; to += t->list[i++].tensor->numel)
        memcpy(to, t->list[i].tensor->grad, (size_t)t->list[i].tensor->numel * sizeof *to);
}

static void put_back(const lf_tree *t, const float *from) {
    for (int64_t i = 0; i < t->count; from += t->list[i++].tensor->numel)
        memcpy(t->list[i].tensor->grad, from, (size_t)t->list[i].tensor->numel * sizeof *from);
}

/* Which of the two is the left one does not matter to a sum of two. */
static void add_held(const lf_tree *t, const float *held) {
    for (int64_t i = 0; i < t->count; held += t->list[i++].tensor->numel) {
        lf_tensor *to = t->list[i].tensor;
        t->k->add(to->grad, held, to->grad, to->numel);
    }
}

void lf_window_add(lf_window *to, const lf_window *w) {
    to->loss += w->loss;
    to->targets += w->targets;
    to->weight += w->weight;
    to->correct += w->correct;
    for (int i = 0; i < LF_N_REMEDIES; i++) {
        to->terms[i].sum += w->terms[i].sum;
        to->terms[i].count += w->terms[i].count;
    }
}

/* ---- the walk ---- */

typedef struct node {
    lf_window w;
    bool there;
} node;

typedef struct walk {
    lf_tree *t;
    int64_t n; /* leaves of this step */
    lf_leaf *leaf;
    void *context;
    node out;        /* what is on its way, with t->outgoing */
    lf_err *failure; /* of a leaf: from there on all are absent */
} walk;

static lf_window sum_of(lf_window a, lf_window b) {
    lf_window_add(&a, &b);
    return a;
}

/* Both children of a node are known: one's gradients are in place, the other's in the buffer. */
static void join(const lf_tree *t, const float *held, const node *other, node *one) {
    if (!other->there) return;
    if (one->there)
        add_held(t, held);
    else
        put_back(t, held);
    *one = (node){one->there ? sum_of(other->w, one->w) : other->w, true};
}

/* While it is under way the next leaves are computed. */
static lf_status send_node(walk *s, int to, const node *x, lf_err *err) {
    lf_tree *t = s->t;
    lf_status rc = lf_world_sent(err);
    s->out = *x;
    if (!rc) rc = lf_world_send(to, &s->out, sizeof s->out, err);
    if (rc || !x->there) return rc;
    hold(t, t->outgoing);
    return lf_world_send(to, t->outgoing, (size_t)t->numbers * sizeof(float), err);
}

static lf_status receive_node(const walk *s, int from, float *held, node *x, lf_err *err) {
    const lf_status rc = lf_world_receive(from, x, sizeof *x, err);
    return rc || !x->there ? rc : lf_world_receive(from, held, (size_t)s->t->numbers * sizeof(float), err);
}

static void compute_leaf(walk *s, int64_t i, node *out) {
    if (s->failure->status) return;
    (void)s->leaf(s->context, i, &out->w, &out->there, s->failure);
    if (s->failure->status || !out->there) *out = (node){0};
}

static lf_status visit(walk *s, int level, int64_t k, node *out, lf_err *err);

static bool is_mine(const lf_tree *t, int64_t leaf) { return leaf >= t->begin && leaf < t->end; }

/* The right child of a node whose left one this rank has, or a part of it, or nothing. */
static lf_status visit_right(walk *s, int level, int64_t k, bool has_left, node *left, lf_err *err) {
    lf_tree *t = s->t;
    const int64_t first = k << level, middle = (2 * k + 1) << (level - 1);
    float *held = t->held[level - 1];
    node right = {0};
    if (middle >= s->n) return LF_OK;
    if (has_left && !is_mine(t, middle)) {
        const lf_status rc = receive_node(s, owner_of(t->leaves, middle), held, &right, err);
        if (!rc) join(t, held, &right, left);
        return rc;
    }
    if (left->there) hold(t, held);
    const lf_status rc = visit(s, level - 1, 2 * k + 1, &right, err);
    if (rc) return rc;
    if (!has_left) return is_mine(t, middle) ? send_node(s, owner_of(t->leaves, first), &right, err) : LF_OK;
    join(t, held, left, &right);
    *left = right;
    return LF_OK;
}

/* Node k of a level; if its first leaf is this rank's, its sum is left in the gradients. */
static lf_status visit(walk *s, int level, int64_t k, node *out, lf_err *err) {
    const lf_tree *t = s->t;
    const int64_t first = k << level, behind = (k + 1) << level;
    *out = (node){0};
    if (first >= s->n || first >= t->end || behind <= t->begin) return LF_OK;
    if (level == 0) {
        compute_leaf(s, k, out);
        return LF_OK;
    }
    const lf_status rc = visit(s, level - 1, 2 * k, out, err);
    return rc ? rc : visit_right(s, level, k, is_mine(t, first), out, err);
}

lf_status lf_tree_sum(lf_tree *t, int64_t n, lf_leaf *leaf, void *context, lf_tree_result *out, lf_err *err) {
    *out = (lf_tree_result){0};
    walk s = {.t = t, .n = n, .leaf = leaf, .context = context, .failure = &out->failure};
    node root;
    assert(n <= t->leaves);
    const lf_status rc = visit(&s, t->levels, 0, &root, err);
    out->w = root.w;
    return rc ? rc : lf_world_sent(err);
}

lf_status lf_tree_spread(lf_tree *t, lf_err *err) {
    if (lf_world_size() == 1) return LF_OK;
    if (lf_world_is_first()) hold(t, t->outgoing);
    const lf_status rc = lf_world_share(0, t->outgoing, (size_t)t->numbers * sizeof(float), err);
    if (!rc && !lf_world_is_first()) put_back(t, t->outgoing);
    return rc;
}
