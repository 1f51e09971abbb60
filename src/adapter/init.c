#include <string.h>

#include "adapter/adapter.h"

#define LF_INIT(name) extern const lf_init lf_init_##name;
#include "adapter/init.def"
#undef LF_INIT

static const lf_init *const inits[] = {
#define LF_INIT(name) &lf_init_##name,
#include "adapter/init.def"
#undef LF_INIT
};

/* What stands for the N of a name that ends in it: 1 to 999. */
static bool is_number(const char *s) {
    const size_t n = strspn(s, "0123456789");
    return n >= 1 && n <= 3 && !s[n] && s[0] != '0';
}

const lf_init *lf_init_find(const char *name) {
    for (size_t i = 0; i < sizeof inits / sizeof inits[0]; i++) {
        const size_t n = strlen(inits[i]->name);
        if (inits[i]->prefix ? strncmp(name, inits[i]->name, n) == 0 && is_number(name + n)
                             : strcmp(name, inits[i]->name) == 0)
            return inits[i];
    }
    return NULL;
}

lf_status lf_init_block(const lf_adapter_opts *o, int64_t n, int64_t r, const double *sigma, const char *name,
                        int64_t *s, lf_err *err) {
    const lf_init *init = lf_init_find(o->init);
    if (init->positioned) return lf_position_start(o->position, n, r, sigma, name, s, err);
    *s = init->fixed_block == LF_BLOCK_FIRST ? 0 : init->fixed_block == LF_BLOCK_LAST ? n - r : -1;
    return LF_OK;
}
