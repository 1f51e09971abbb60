/* The table of starts, and the lists that the key init_lora_weights is made of. */
#include <stdio.h>
#include <string.h>

#include "adapter/adapter_internal.h"

#define LF_INIT(id, name, title, form, reads, block, plain, help) extern lf_init_fill lf_init_##id;
#include "adapter/init.def"

static const lf_init inits[] = {
#define LF_INIT(id, name, title, form, reads, block, plain, help)                                                      \
    {name, title, help, LF_FORM_##form, LF_READS_##reads, LF_BLOCK_##block, plain, lf_init_##id},
#include "adapter/init.def"
};

const char lf_init_choices[] = "true"
#define LF_INIT(id, name, title, form, reads, block, plain, help) "|" name
#define LF_NO_INIT(name, why)                                     "|" name "!" why
#include "adapter/init.def"
    ;

const char lf_init_help[] = "what the adapter starts from (true is kaiming)"
#define LF_INIT(id, name, title, form, reads, block, plain, help) "; " name ": " help
#include "adapter/init.def"
    ;

/* What stands for the N of a name that ends in it: 1 to 999. */
static bool is_number(const char *s) {
    const size_t n = strspn(s, "0123456789");
    return n >= 1 && n <= 3 && !s[n] && s[0] != '0';
}

const lf_init *lf_init_of(const cJSON *value, const char **name) {
    *name = cJSON_IsString(value) && strcmp(value->valuestring, "true") != 0 ? value->valuestring : inits[0].name;
    return lf_init_find(*name);
}

const lf_init *lf_init_find(const char *name) {
    for (size_t i = 0; i < sizeof inits / sizeof inits[0]; i++) {
        const size_t n = strlen(inits[i].name), stem = n > 2 && !strcmp(inits[i].name + n - 2, "_N") ? n - 1 : 0;
        if (stem ? strncmp(name, inits[i].name, stem) == 0 && is_number(name + stem) : strcmp(name, inits[i].name) == 0)
            return &inits[i];
    }
    return NULL;
}

bool lf_init_is_positioned(const lf_init *init) {
    return init->block == LF_BLOCK_KEY || init->block == LF_BLOCK_KEY_OR_LAST;
}
bool lf_init_reads_data(const lf_init *init) { return init->reads >= LF_READS_TARGET; }
bool lf_init_has_zero_B(const lf_init *init) { return init->form == LF_FORM_ZERO; }

void lf_init_list(char *text, size_t size, bool (*is_meant)(const lf_init *init)) {
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < sizeof inits / sizeof inits[0]; i++)
        if (is_meant(&inits[i]) && used < size)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", inits[i].name);
}

int64_t lf_init_trained(const lf_adapter_opts *o, const lf_module *m, int64_t r) {
    const lf_init *init = o->init && !o->from ? lf_init_find(o->init) : NULL;
    return r * (init && init->form == LF_FORM_HELD ? m->in : m->in + m->out);
}

lf_status lf_init_check_rank(const lf_init_input *in, lf_err *err) {
    const int64_t n = in->out < in->in ? in->out : in->in;
    if (in->r <= n) return LF_OK;
    return lf_fail(
        err, LF_EUSAGE,
        "%s: init_lora_weights %s: r = %lld, but a weight of %lld x %lld has only %lld components; give it a "
        "smaller r by rank_pattern, or leave it out by exclude_modules",
        in->name, in->init, (long long)in->r, (long long)in->out, (long long)in->in, (long long)n);
}

lf_status lf_init_block(const lf_adapter_opts *o, int64_t n, int64_t r, const double *sigma, const char *name,
                        int64_t *s, lf_err *err) {
    const lf_init *init = lf_init_find(o->init);
    if (lf_init_is_positioned(init)) return lf_position_start(o->position, n, r, sigma, name, s, err);
    *s = init->block == LF_BLOCK_FIRST ? 0 : init->block == LF_BLOCK_LAST ? n - r : -1;
    return LF_OK;
}
