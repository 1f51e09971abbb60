/* Which tensor of an adapter's file is what: every one must have a use, or be refused by name. */
#include <math.h>
#include <string.h>

#include "adapter/peft_file.h"
#include "adapter/saved.h"
#include "adapter/targets.h"
#include "base/mem.h"

static lf_status check_numbers(const lf_st_tensor *t, int ndim, lf_err *err) {
    int64_t at;
    float x;
    char shape[64];
    if (!lf_dtype_is_float(t->dtype))
        return lf_fail(err, LF_EUNSUPPORTED, "%s: tensor '%s': expected F32, F16 or BF16, found %s", t->path, t->name,
                       lf_dtype_name(t->dtype));
    if (t->ndim != ndim || t->numel < 1)
        return lf_fail(err, LF_ESHAPE, "%s: tensor '%s': expected %d dimensions, found shape %s%s", t->path, t->name,
                       ndim, lf_shape_str(shape, sizeof shape, t->ndim, t->shape),
                       t->ndim == 4 ? "; adapters on convolutions are not supported" : "");
    if (lf_st_has_no_number(t, &at, &x))
        return lf_fail(err, LF_EDATA,
                       "%s: tensor '%s': number %lld is %g; the adapter comes from a run that diverged, or the file is "
                       "damaged",
                       t->path, t->name, (long long)at, (double)x);
    return LF_OK;
}

/* The part of a name before `suffix`, copied; NULL with *ends false if it has another end. */
static const char *stem(lf_adapter_file *f, const char *name, const char *suffix, bool *ends) {
    const size_t n = strlen(name), k = strlen(suffix);
    *ends = n > k && strcmp(name + n - k, suffix) == 0;
    if (!*ends) return NULL;
    char *copy = lf_arena_strdup(f->arena, name);
    if (copy) copy[n - k] = 0;
    return copy;
}

static lf_peft_entry *entry_of(lf_adapter_file *f, const char *module) {
    for (int64_t i = 0; i < f->n_entries; i++)
        if (strcmp(f->entries[i].module, module) == 0) return &f->entries[i];
    lf_peft_entry *e = &f->entries[f->n_entries++]; /* there is room for one a tensor */
    e->module = module;
    return e;
}

static bool is_saved(const lf_adapter_file *f, const char *module) {
    return f->head_only || lf_saves_module(f->config.modules_to_save, module);
}

/* Which of the modules that were saved is the head: what lora_ft.json says, else transformers' names of it. */
static bool is_head(const lf_adapter_file *f, const char *module) {
    static const char *const names[] = {"classifier", "score", "classifier.out_proj"};
    const char *said = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(f->facts, "head"));
    if (said) return strcmp(module, said) == 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(module, names[i]) == 0) return true;
    return false;
}

static bool has_biases(const lf_adapter_file *f) { return !f->head_only && strcmp(f->config.bias, LF_BIAS_NONE); }

/* A bias that the key `bias` means. Of an adapter's module PEFT names it "<module>.base_layer.bias". */
static lf_status take_bias(lf_adapter_file *f, const lf_st_tensor *t, const char *module, lf_err *err) {
    static const char base_layer[] = ".base_layer";
    bool ends;
    const char *inner = stem(f, module, base_layer, &ends);
    if (ends && !inner) return lf_no_memory(err, "reading the adapter %s", f->dir);
    f->wholes[f->n_wholes++] = (lf_peft_whole){ends ? inner : module, "bias", t, false};
    return check_numbers(t, 1, err);
}

static lf_status take_head(lf_adapter_file *f, const lf_st_tensor *t, const char *module, bool is_bias, lf_err *err) {
    f->head = module;
    *(is_bias ? &f->head_bias : &f->head_weight) = t;
    return check_numbers(t, is_bias ? 1 : 2, err);
}

/* With ensure_weight_tying PEFT writes the tied layer beside the embedding, and leaves it out of modules_to_save: it is
 * put there, because here the two are apart. */
static lf_status list_tied(lf_adapter_file *f, const char *module, lf_err *err) {
    cJSON *names = cJSON_GetObjectItemCaseSensitive(f->config.json, "modules_to_save"),
          *name = cJSON_CreateString(module);
    f->ties_saved = true;
    if (name && cJSON_AddItemToArray(names, name)) return LF_OK;
    cJSON_Delete(name);
    return lf_no_memory(err, "reading the adapter %s", f->dir);
}

static bool is_tied(const lf_adapter_file *f, const char *module) {
    const cJSON *names = f->config.modules_to_save;
    return f->config.ensure_weight_tying && names && names->child && !is_saved(f, module);
}

/* A tensor that is no factor: `leaf` of `module`. An embedding of tokens, or an output layer, is saved by PEFT although
 * nothing names it where the vocabulary was resized; which modules these are is known with the model (beside.c). */
static lf_status take_whole(lf_adapter_file *f, const lf_st_tensor *t, const char *module, const char *leaf,
                            lf_err *err) {
    const bool is_bias = strcmp(leaf, "bias") == 0, is_weight = strcmp(leaf, "weight") == 0;
    if (!is_saved(f, module) && is_bias && has_biases(f)) return take_bias(f, t, module, err);
    const lf_status rc = is_weight && is_tied(f, module) ? list_tied(f, module, err) : LF_OK;
    if (rc) return rc;
    const bool saved = is_saved(f, module), maybe_tokens = is_weight && t->ndim == 2 && !is_head(f, module);
    if (!saved && !maybe_tokens)
        return lf_fail(err, LF_EDATA,
                       "%s: tensor '%s' belongs neither to a LoRA nor to modules_to_save in " LF_PEFT_CONFIG
                       "; is the folder put together from two adapters?",
                       t->path, t->name);
    if ((is_bias || is_weight) && is_head(f, module)) return take_head(f, t, module, is_bias, err);
    f->wholes[f->n_wholes++] = (lf_peft_whole){module, leaf, t, saved};
    return check_numbers(t, t->ndim, err);
}

static const struct {
    const char *suffix;
    enum { IS_A, IS_B, IS_MAGNITUDE, IS_COPY } what;
    bool of_embedding;
} endings[] = {{".lora_A.weight", IS_A, false},
               {".lora_B.weight", IS_B, false},
               {".lora_embedding_A", IS_A, true},
               {".lora_embedding_B", IS_B, true},
               {".lora_magnitude_vector", IS_MAGNITUDE, false},
               {".base_layer.weight", IS_COPY, false}};

static const struct {
    const char *part, *what;
} foreign[] = {{".lora_B.bias", "a bias in lora_B is"},
               {".token_adapter.", "trained tokens are"},
               {".original_module.", "the whole state of a model in training is"}};

/* While an adapter is in memory PEFT has its name in those of its tensors ("lora_A.default.weight",
 * "lora_embedding_A.default"), and so have files that were written otherwise than by save_pretrained. The name is taken
 * out; it is one for the whole file. */
static const struct {
    const char *part;
    bool stays, ends; /* `ends`: behind it stands the adapter's name alone */
} named_parts[] = {{".lora_A.", true, false},
                   {".lora_B.", true, false},
                   {".lora_embedding_A.", true, true},
                   {".lora_embedding_B.", true, true},
                   {".modules_to_save.", false, false}};

static lf_status check_one_adapter(lf_adapter_file *f, const lf_st_tensor *t, lf_slice adapter, lf_err *err) {
    if (!f->adapter_name.start) f->adapter_name = adapter;
    if (adapter.length == f->adapter_name.length &&
        memcmp(adapter.start, f->adapter_name.start, (size_t)adapter.length) == 0)
        return LF_OK;
    return lf_fail(
        err, LF_EDATA,
        "%s: tensor '%s': expected the adapter's name '%.*s' as in the tensors before it, found '%.*s'; write "
        "one adapter a file, as save_pretrained does",
        t->path, t->name, f->adapter_name.length, f->adapter_name.start, adapter.length, adapter.start);
}

static lf_status drop_adapter_name(lf_adapter_file *f, const lf_st_tensor *t, const char **name, lf_err *err) {
    for (size_t i = 0; i < sizeof named_parts / sizeof *named_parts; i++) {
        const char *at = strstr(*name, named_parts[i].part);
        if (!at) continue;
        const char *begin = at + strlen(named_parts[i].part), *dot = strchr(begin, '.'),
                   *end = named_parts[i].ends ? begin + strlen(begin) : dot;
        const lf_slice adapter = {begin, end ? (int)(end - begin) : 0};
        const lf_status rc = check_one_adapter(f, t, adapter, err);
        if (rc || !end) return rc;
        const size_t front = (size_t)((named_parts[i].stays ? begin - 1 : at) - *name);
        char *without = lf_arena_strdup(f->arena, *name);
        if (!without) return lf_no_memory(err, "reading the adapter %s", f->dir);
        memcpy(without + front, end, strlen(end) + 1);
        *name = without;
        return LF_OK;
    }
    return LF_OK;
}

static const struct {
    const char *part, *what;
} strange[] = {
    {"_orig_mod.", "torch.compile's wrapper is in its name; save the model that is in the wrapper"},
    {"module.", "the wrapper of a distributed run is in its name; save the model that is in the wrapper"},
    {".lora_down.", "it is named as tools for pictures do (lora_down, lora_up); convert the file to PEFT's names"},
    {".lora_up.", "it is named as tools for pictures do (lora_down, lora_up); convert the file to PEFT's names"},
    {".lora_a", "it is named as mlx and torchtune do (lora_a, lora_b); convert the file to PEFT's names"},
    {".lora_b", "it is named as mlx and torchtune do (lora_a, lora_b); convert the file to PEFT's names"}};

static lf_status not_of_peft(const lf_st_tensor *t, lf_err *err) {
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
        const char *part = strange[i].part;
        if (part[0] == '.' ? strstr(t->name, part) != NULL : strncmp(t->name, part, strlen(part)) == 0)
            return lf_fail(err, LF_EUNSUPPORTED, "%s: tensor '%s': %s", t->path, t->name, strange[i].what);
    }
    return lf_fail(err, LF_EDATA,
                   "%s: tensor '%s': expected a name that begins with '" LF_PEFT_PREFIX "', as PEFT writes them",
                   t->path, t->name);
}

static bool ends_so(const char *name, const char *end) {
    const size_t n = strlen(name), k = strlen(end);
    return n >= k && strcmp(name + n - k, end) == 0;
}

static bool has_tensor(const lf_adapter_file *f, const char *name, size_t front, const char *rest) {
    for (int64_t i = 0; rest && i < lf_safetensors_count(f->st); i++) {
        const char *other = lf_safetensors_at(f->st, i)->name;
        if (strncmp(other, name, front) == 0 && strcmp(other + front, rest) == 0) return true;
    }
    return false;
}

/* With bias "all" PEFT writes each bias of a module that is saved whole two times more: as it was, and as it is, which
 * is there by its plain name too. Biases of layers in such a module are among them ("classifier.original_module.dense.
 * bias"), and some have the adapter's name in theirs ("classifier.modules_to_save.default.dense.bias"). */
static bool is_second_bias(const lf_adapter_file *f, const char *name) {
    static const char was[] = ".original_module.", is[] = ".modules_to_save";
    if (!has_biases(f) || !ends_so(name, ".bias")) return false;
    if (strstr(name, was)) return true;
    const char *at = strstr(name, is), *rest = at ? at + strlen(is) : NULL;
    if (!at || *rest != '.') return false;
    const size_t front = (size_t)(at - name);
    return has_tensor(f, name, front, rest) || has_tensor(f, name, front, strchr(rest + 1, '.'));
}

/* Where the vocabulary was resized, PEFT writes the weight of an embedding that is saved whole two times more, too;
 * never that of a head. */
static bool is_second_weight(const lf_adapter_file *f, const char *name) {
    static const char *const ends[] = {".original_module.weight", ".modules_to_save.weight"};
    const size_t prefix = strlen(LF_PEFT_PREFIX);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        if (!ends_so(name, ends[i]) || strncmp(name, LF_PEFT_PREFIX, prefix)) continue;
        const int n = (int)(strlen(name) - prefix - strlen(ends[i]));
        char *module = lf_format("%.*s", n, name + prefix),
             *first = lf_format(LF_PEFT_PREFIX "%.*s.weight", n, name + prefix);
        const bool is = module && first && !is_head(f, module) && lf_safetensors_find(f->st, first);
        lf_free(module);
        lf_free(first);
        return is;
    }
    return false;
}

bool lf_peft_is_second(const lf_adapter_file *f, const char *name) {
    return is_second_bias(f, name) || is_second_weight(f, name);
}

static bool is_refused(const lf_adapter_file *f, const char *name, const char *part) {
    return strstr(name, part) && !(has_biases(f) && ends_so(name, ".base_layer.bias"));
}

static lf_status take_copy(lf_adapter_file *f, const lf_st_tensor *t, const char *module, lf_err *err) {
    f->copies[f->n_copies++] = (lf_peft_copy){module, t};
    return check_numbers(t, 2, err);
}

static lf_status take_tensor(lf_adapter_file *f, const lf_st_tensor *t, lf_err *err) {
    if (lf_peft_is_second(f, t->name)) return LF_OK;
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        if (is_refused(f, t->name, foreign[i].part))
            return lf_fail(err, LF_EUNSUPPORTED, "%s: tensor '%s': %s not supported", t->path, t->name,
                           foreign[i].what);
    const size_t prefix = strlen(LF_PEFT_PREFIX);
    if (strncmp(t->name, LF_PEFT_PREFIX, prefix)) return not_of_peft(t, err);
    const char *name = t->name + prefix;
    const lf_status rc = drop_adapter_name(f, t, &name, err);
    if (rc) return rc;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        bool ends;
        const char *module = stem(f, name, endings[i].suffix, &ends);
        if (!ends) continue;
        if (!module) return lf_no_memory(err, "reading the adapter %s", f->dir);
        if (endings[i].what == IS_COPY) return take_copy(f, t, module, err);
        lf_peft_entry *e = entry_of(f, module);
        e->of_embedding |= endings[i].of_embedding;
        *(endings[i].what == IS_A ? &e->A : endings[i].what == IS_B ? &e->B : &e->magnitude) = t;
        return check_numbers(t, endings[i].what == IS_MAGNITUDE ? 1 : 2, err);
    }
    const char *dot = strrchr(name, '.');
    char *module = lf_arena_strdup(f->arena, name);
    if (!module) return lf_no_memory(err, "reading the adapter %s", f->dir);
    module[dot ? (size_t)(dot - name) : 0] = 0;
    return take_whole(f, t, module, dot ? dot + 1 : name, err);
}

lf_status lf_peft_sort_tensors(lf_adapter_file *f, lf_err *err) {
    const int64_t n = lf_safetensors_count(f->st);
    lf_status rc = LF_OK;
    f->arena = lf_arena_new();
    f->entries = f->arena ? lf_arena_alloc(f->arena, (size_t)(n + 1) * sizeof *f->entries) : NULL;
    f->wholes = f->arena ? lf_arena_alloc(f->arena, (size_t)(n + 1) * sizeof *f->wholes) : NULL;
    f->copies = f->arena ? lf_arena_alloc(f->arena, (size_t)(n + 1) * sizeof *f->copies) : NULL;
    if (!f->entries || !f->wholes || !f->copies) return lf_no_memory(err, "reading the adapter %s", f->dir);
    for (int64_t i = 0; !rc && i < n; i++) rc = take_tensor(f, lf_safetensors_at(f->st, i), err);
    return rc;
}
