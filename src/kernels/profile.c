#include "kernels/profile.h"

#include "base/log.h"

const char *const lf_profile_names[LF_PROFILE_KINDS] = {
#define LF_PROFILE_NAME(e, name) [e] = name,
    LF_PROFILE_LIST(LF_PROFILE_NAME)
#undef LF_PROFILE_NAME
};

/* A table and the one in front of it that counts: that of activations, and its `wide`. */
static struct {
    const lf_kernels *inner;
    lf_kernels outer;
} narrow, wide;
static double seconds[LF_PROFILE_KINDS + 1]; /* the last: what is not asked for */

/* How a wrapper keeps a kernel's result until the clock is read, and gives it back. */
#define KEEP_void
#define GIVE_void
#define KEEP_bool    const bool result_ =
#define GIVE_bool    return result_;
#define KEEP_int64_t const int64_t result_ =
#define GIVE_int64_t return result_;
#define KEEP_double  const double result_ =
#define GIVE_double  return result_;

#define LF_KERNEL(kind, result, name, parameters, arguments)                                                           \
    static result narrow_##name parameters {                                                                           \
        const double began = lf_now();                                                                                 \
        KEEP_##result narrow.inner->name arguments;                                                                    \
        seconds[LF_PROFILE_##kind] += lf_now() - began;                                                                \
        GIVE_##result                                                                                                  \
    }                                                                                                                  \
    static result wide_##name parameters {                                                                             \
        const double began = lf_now();                                                                                 \
        KEEP_##result wide.inner->name arguments;                                                                      \
        seconds[LF_PROFILE_##kind] += lf_now() - began;                                                                \
        GIVE_##result                                                                                                  \
    }
#include "kernels/kernels.def"
#undef LF_KERNEL

const lf_kernels *lf_profile_table(const lf_kernels *k) {
    narrow.inner = k;
    wide.inner = k->wide;
    narrow.outer = *k;
    wide.outer = *k->wide;
#define LF_KERNEL(kind, result, name, parameters, arguments)                                                           \
    narrow.outer.name = narrow_##name;                                                                                 \
    wide.outer.name = wide_##name;
#include "kernels/kernels.def"
#undef LF_KERNEL
    wide.outer.wide = &wide.outer;
    narrow.outer.wide = k->wide == k ? &narrow.outer : &wide.outer;
    lf_profile_reset();
    return &narrow.outer;
}

void lf_profile_reset(void) {
    for (int i = 0; i < LF_PROFILE_KINDS; i++) seconds[i] = 0;
}

double lf_profile_seconds(lf_profile_kind kind) { return seconds[kind]; }
