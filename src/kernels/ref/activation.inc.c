/* Part of ref/body.inc.c: the functions of activations.def, and their slopes. */

static const double sqrt_half = 0.70710678118654752440, sqrt_2_over_pi = 0.79788456080286535588;
static const double one_over_sqrt_2pi = 0.39894228040143267794, gelu_cubic = 0.044715, quick_factor = 1.702;

static double logistic(double x) { return 1 / (1 + exp(-x)); }

/* x Phi(x), Phi of the normal distribution. 1 + erf is an erfc, without its cancellation. */
static double gelu_value(double x) { return 0.5 * x * erfc(-sqrt_half * x); }
static double gelu_slope(double x) { return 0.5 * erfc(-sqrt_half * x) + x * one_over_sqrt_2pi * exp(-0.5 * x * x); }

/* 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
static double gelu_tanh_value(double x) { return 0.5 * x * (1 + tanh(sqrt_2_over_pi * (x + gelu_cubic * x * x * x))); }
static double gelu_tanh_slope(double x) {
    const double t = tanh(sqrt_2_over_pi * (x + gelu_cubic * x * x * x));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * sqrt_2_over_pi * (1 + 3 * gelu_cubic * x * x);
}

/* x / (1 + e^(-1.702 x)) */
static double quick_gelu_value(double x) { return x * logistic(quick_factor * x); }
static double quick_gelu_slope(double x) {
    const double z = quick_factor * x;
    return logistic(z) * (1 + z * logistic(-z));
}

/* x / (1 + e^-x) */
static double silu_value(double x) { return x / (1 + exp(-x)); }
static double silu_slope(double x) { return logistic(x) * (1 + x * logistic(-x)); }

/* The larger of x and 0; at 0 the slope is 0, as torch has it. NaN is neither. */
static double relu_value(double x) { return x < 0 ? 0 : x; }
static double relu_slope(double x) { return x < 0 ? 0 : x > 0 ? 1 : x; }

static double tanh_value(double x) { return tanh(x); }
static double tanh_slope(double x) {
    const double e = exp(-2 * fabs(x)); /* 1 - tanh^2, without its cancellation */
    return 4 * e / ((1 + e) * (1 + e));
}

static const struct {
    double (*value)(double x), (*slope)(double x);
} activations[] = {
#define LF_ACTIVATION(kind, name, names) [kind] = {name##_value, name##_slope},
#include "kernels/activations.def"
#undef LF_ACTIVATION
};

static void activation(void *y, const void *x, int64_t n, lf_activation_kind f) {
    for (int64_t i = 0; i < n; i++) store((act *)y + i, false, activations[f].value(LD(((const act *)x)[i])));
}

static void activation_backward(void *dx, bool add, const void *dy, const void *x, int64_t n, lf_activation_kind f) {
    for (int64_t i = 0; i < n; i++)
        store((act *)dx + i, add, LD(((const act *)dy)[i]) * activations[f].slope(LD(((const act *)x)[i])));
}

static void gated(void *y, const void *x_, int64_t rows, int64_t C, lf_activation_kind f) {
    for (int64_t row = 0; row < rows; row++)
        for (int64_t i = 0; i < C; i++) {
            const act *x = (const act *)x_ + row * 2 * C;
            store((act *)y + row * C + i, false, activations[f].value(LD(x[i])) * LD(x[C + i]));
        }
}

static void gated_backward(void *dx_, bool add, const void *dy_, const void *x_, int64_t rows, int64_t C,
                           lf_activation_kind f) {
    for (int64_t row = 0; row < rows; row++)
        for (int64_t i = 0; i < C; i++) {
            const act *x = (const act *)x_ + row * 2 * C;
            act *dx = (act *)dx_ + row * 2 * C;
            const double g = LD(x[i]), u = LD(x[C + i]), dy = LD(((const act *)dy_)[row * C + i]);
            store(&dx[i], add, dy * activations[f].slope(g) * u);
            store(&dx[C + i], add, dy * activations[f].value(g));
        }
}
