/* The functions of activations.def, alone and as gates. Of each: its value, for the forward pass; and a point of it,
 * value and slope from one exponential, for backward. Both take any number without an overflow in between; NaN gives
 * NaN. */

typedef struct point {
    num value, slope;
} point;

/* s = 1 / (1 + e^-t) and rest = 1 - s, which keeps its digits where s is nearly 1; t up to where e^-t overflows. */
typedef struct sigmoid_parts {
    num s, rest;
} sigmoid_parts;

static inline sigmoid_parts sigmoid_and_rest(num t) {
    const num e = exp_of(-t), s = 1 / (1 + e);
    return (sigmoid_parts){s, e * s};
}

/* Of x s(..), from s and the slope at t, which is x held within limits: below them s is 0, above them 1. */
static inline point sigmoid_point(num x, num t, num s, num slope) {
    return (point){where_less(t, x, x, t) * keep_nan(s, x), keep_nan(slope, x)};
}

static inline num gelu_value(num x) { return x * normal_distribution(x).cdf; }
static inline point gelu_point(num x) {
    const normal_values v = normal_distribution(x);
    return (point){x * v.cdf, v.cdf + x * v.density};
}

/* The tanh form is x s(2 sqrt(2/pi) (x + 0.044715 x^3)). */
static const float gelu_linear = 0x1.988454p+0f, gelu_cubic = 0.044715f;

static inline num gelu_tanh_value(num x) { return x * sigmoid(gelu_linear * (x + gelu_cubic * x * x * x)); }
static inline point gelu_tanh_point(num x) {
    const num t = hold(x, 8.0f);
    const sigmoid_parts p = sigmoid_and_rest(gelu_linear * (t + gelu_cubic * t * t * t));
    return sigmoid_point(x, t, p.s, p.s + t * p.s * p.rest * gelu_linear * (1 + 3 * gelu_cubic * t * t));
}

static const float quick_factor = 1.702f;

static inline num quick_gelu_value(num x) { return x * sigmoid(quick_factor * x); }
static inline point quick_gelu_point(num x) {
    const num t = hold(x, 40.0f);
    const sigmoid_parts p = sigmoid_and_rest(quick_factor * t);
    return sigmoid_point(x, t, p.s, p.s + quick_factor * t * p.s * p.rest);
}

static inline num silu_value(num x) { return x * sigmoid(x); }
static inline point silu_point(num x) {
    const num t = hold(x, 80.0f);
    const sigmoid_parts p = sigmoid_and_rest(t);
    return sigmoid_point(x, t, p.s, p.s + t * p.s * p.rest);
}

static inline num relu_value(num x) { return where_less(x, number_of(0), number_of(0), x); }
static inline point relu_point(num x) {
    return (point){relu_value(x), keep_nan(where_less(number_of(0), x, number_of(1), number_of(0)), x)};
}

static inline num tanh_value(num x) { return tanh_of(x); }
static inline point tanh_point(num x) { return (point){tanh_of(x), tanh_slope_of(x)}; }

/* The loops of each kind: f(x); f'(x); f(gate) up; of a gate's two inputs the slopes, f'(gate) up and f(gate). */
#define LF_ACTIVATION(kind, name, names)                                                                               \
    static void name##_values(act *restrict y, const act *restrict x, int64_t n) {                                     \
        EACH_NUMBER(i, n) store_number(y + i, n - i, name##_value(load_number(x + i, n - i)));                         \
    }                                                                                                                  \
    static void name##_slopes(float *restrict slope, const act *restrict x, int64_t n) {                               \
        EACH_NUMBER(i, n) store_real_number(slope + i, n - i, name##_point(load_number(x + i, n - i)).slope);          \
    }                                                                                                                  \
    static void name##_gate(act *restrict y, const act *restrict gate, const act *restrict up, int64_t n) {            \
        EACH_NUMBER(i, n)                                                                                              \
        store_number(y + i, n - i, name##_value(load_number(gate + i, n - i)) * load_number(up + i, n - i));           \
    }                                                                                                                  \
    static void name##_gate_slopes(float *restrict of_gate, float *restrict of_up, const act *restrict gate,           \
                                   const act *restrict up, int64_t n) {                                                \
        EACH_NUMBER(i, n) {                                                                                            \
            const point p = name##_point(load_number(gate + i, n - i));                                                \
            store_real_number(of_gate + i, n - i, p.slope * load_number(up + i, n - i));                               \
            store_real_number(of_up + i, n - i, p.value);                                                              \
        }                                                                                                              \
    }
#include "kernels/activations.def"
#undef LF_ACTIVATION

static const struct {
    void (*values)(act *restrict y, const act *restrict x, int64_t n);
    void (*slopes)(float *restrict slope, const act *restrict x, int64_t n);
    void (*gate)(act *restrict y, const act *restrict gate, const act *restrict up, int64_t n);
    void (*gate_slopes)(float *restrict of_gate, float *restrict of_up, const act *restrict gate,
                        const act *restrict up, int64_t n);
} activations[] = {
#define LF_ACTIVATION(kind, name, names) [kind] = {name##_values, name##_slopes, name##_gate, name##_gate_slopes},
#include "kernels/activations.def"
#undef LF_ACTIVATION
};

static void activation(void *y_, const void *x_, int64_t n, lf_activation_kind f) {
    act *y = y_;
    const act *x = x_;
    PARALLEL(n)
    for (int64_t begin = 0; begin < n; begin += CHUNK)
        activations[f].values(y + begin, x + begin, min64(CHUNK, n - begin));
}

static void activation_backward(void *dx_, bool add, const void *dy_, const void *x_, int64_t n, lf_activation_kind f) {
    act *dx = dx_;
    const act *dy = dy_, *x = x_;
    PARALLEL(n)
    for (int64_t begin = 0; begin < n; begin += CHUNK) {
        const int64_t size = min64(CHUNK, n - begin);
        float slope[CHUNK];
        activations[f].slopes(slope, x + begin, size);
        store_product(dx + begin, add, dy + begin, slope, size);
    }
}

static void gated(void *y_, const void *x_, int64_t rows, int64_t C, lf_activation_kind f) {
    act *y = y_;
    const act *x = x_;
    PARALLEL(rows * C)
    for (int64_t row = 0; row < rows; row++) activations[f].gate(y + row * C, x + row * 2 * C, x + row * 2 * C + C, C);
}

static void gated_backward(void *dx_, bool add, const void *dy_, const void *x_, int64_t rows, int64_t C,
                           lf_activation_kind f) {
    act *dx = dx_;
    const act *dy = dy_, *x = x_;
    PARALLEL(rows * C)
    for (int64_t row = 0; row < rows; row++)
        for (int64_t begin = 0; begin < C; begin += CHUNK) {
            const int64_t n = min64(CHUNK, C - begin), gate = row * 2 * C + begin;
            float of_gate[CHUNK], of_up[CHUNK];
            activations[f].gate_slopes(of_gate, of_up, x + gate, x + gate + C, n);
            store_product(dx + gate, add, dy + row * C + begin, of_gate, n);
            store_product(dx + gate + C, add, dy + row * C + begin, of_up, n);
        }
}
