/* Text as a source of batches: records of the supported layouts, tokens, rows that may be packed. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "data/splits.h"
#include "eval/eval.h"
#include "task/language.h"
#include "task/preview.h"

enum { RANDOM_SEQ = 128 }; /* tokens of a row of `bench` */
enum { STREAM_IDS, STREAM_LABELS };

static bool classifies(const lf_task *t) { return t->type->output == LF_CLASSES; }

static lf_status open(lf_task *t, lf_err *err) {
    lf_language *l = lf_calloc(1, sizeof *l);
    if (!l) return lf_no_memory(err, "the task");
    t->data = l;
    const int64_t asked = lf_cfg_i64(t->cfg, LF_max_seq_length), context = t->model->tokens.max_positions;
    l->max_seq_length = context && context < asked ? context : asked;
    return lf_language_check_length(t->cfg, t->model, err);
}

static void close(lf_task *t) {
    lf_language *l = t->data;
    if (!l) return;
    for (int i = 0; i < LF_DATA_ROLES; i++) lf_text_loader_free(l->loaders[i]);
    for (int i = 0; i < LF_DATA_ROLES; i++) lf_text_dataset_free(l->data[i]);
    lf_text_shots_free(l->shots);
    lf_text_tokenizer_free(l->text);
    lf_text_tokenizer_free(l->base);
    lf_aligned_free(l->random.ids);
    lf_aligned_free(l->random.labels);
    lf_aligned_free(l->random.positions);
    lf_aligned_free(l->random.lengths);
    lf_aligned_free(l->random.classes);
    lf_free(l);
}

/* ---- data ---- */

lf_status lf_language_open_text(lf_task *t, lf_err *err) {
    lf_language *l = t->data;
    if (l->text) return LF_OK;
    lf_status rc = lf_language_tokenizer(&l->text, t->cfg, t->model, err);
    if (rc) return rc;
    lf_language_take_padding(t->model, l->text);
    if (l->text->encoder.vocab_size > t->model->tokens.vocab_size)
        t->model->tokens.vocab_size = l->text->encoder.vocab_size; /* an adapter will make room for them */
    return LF_OK;
}

/* Opened when the first data that it encodes are. */
static lf_status open_base_text(lf_task *t, lf_err *err) {
    lf_language *l = t->data;
    return l->base ? LF_OK : lf_language_base_tokenizer(&l->base, t->cfg, t->model, err);
}

/* What is trained, or what is judged where nothing is: keys that these records have no use for. */
static void say_unread_keys(const lf_task *t, lf_data_role role) {
    const lf_text_dataset *const *data = (const lf_text_dataset *const *)lf_language_of(t)->data;
    const lf_text_dataset *d = data[role];
    char why[600];
    if (role != LF_DATA_TRAIN && (role != LF_DATA_EVAL || data[LF_DATA_TRAIN])) return;
    if (lf_text_dataset_is(d, LF_TEXT_CLASSIFIED)) return;
    if (lf_text_dataset_windowed(d)) {
        snprintf(why, sizeof why, "on plain text (%.500s)", lf_text_dataset_path(d));
        lf_config_say_no_effect(
            t->cfg, "overlong|text_field|prompt_template|chat_template|completion_only_loss|mask_history", why);
    } else if (!lf_text_dataset_is(d, LF_TEXT_CHAT)) {
        snprintf(why, sizeof why, "on records of layout '%s' (%.500s)", lf_text_dataset_layout(d),
                 lf_text_dataset_path(d));
        lf_config_say_no_effect(t->cfg, "chat_template|mask_history", why);
    }
}

/* Of all texts but those that the model knew before a label is needed; of those, where it can say nothing else. */
static lf_text_labels_asked labels_asked(const lf_task *t, lf_data_role role) {
    const lf_model *m = t->model;
    if (role == LF_DATA_CALIBRATION) return LF_TEXT_LABELS_HOPED; /* nobody asks for them */
    if (role == LF_DATA_KL && !lf_task_reads_labels(t, role)) return LF_TEXT_LABELS_IGNORED;
    if (!lf_data_is_base(role)) return LF_TEXT_LABELS_NEEDED;
    return lf_model_says(m, LF_NEXT_TOKEN) || lf_model_says(m, LF_MASKED_TOKEN) ? LF_TEXT_LABELS_MAYBE
                                                                                : LF_TEXT_LABELS_HOPED;
}

static const lf_text_labelling *labelling(lf_text_labelling *how, const lf_task *t, lf_data_role role) {
    if (!classifies(t)) return NULL;
    *how = (lf_text_labelling){.labels = labels_asked(t, role),
                               .label_field = lf_cfg_str(t->cfg, LF_label_field),
                               .text_pair_field = lf_cfg_str(t->cfg, LF_text_pair_field)};
    how->problem_known = t->type->problem(t, role, &how->problem);
    return how;
}

/* Classes as the labels that they are to be. */
static lf_status take_labels(lf_task *t, lf_data_role role, const lf_data_from *from, lf_err *err) {
    lf_text_dataset *d = lf_language_of(t)->data[role];
    const char *const *names;
    int64_t n, n_classes;
    lf_status rc = t->type->opened(t, role, err);
    if (rc || !lf_text_dataset_classes(d, &n_classes)) return rc;
    if ((rc = t->type->labels(t, role, from->key, &names, &n, err)) || !names) return rc;
    return lf_match_texts(d, lf_key_name(from->key), names, n, err);
}

/* What documents need, and classified texts do not. */
static void warn_of_ends(const lf_task *t, lf_data_role role) {
    const lf_language *l = t->data;
    const bool chat = lf_text_dataset_is(l->data[role], LF_TEXT_CHAT);
    if (role == LF_DATA_TRAIN && l->text->encoder.eos < 0 && !chat)
        lf_warn("%s: no eos_token, and the model names no eos_token_id: nothing is put behind a document, so the model "
                "will not learn where a text ends; name one in tokenizer_config.json",
                l->text->dir);
    if (chat) lf_text_tokenizer_warn_turn_end(l->text);
}

/* Those that stand before what `like` will open: records of the same kind. */
static lf_status open_shots(lf_task *t, const lf_text_dataset_opts *like, lf_err *err) {
    lf_text_dataset_opts o = *like;
    o.spec = lf_cfg_json(t->cfg, LF_fewshot_data);
    o.key = lf_key_name(LF_fewshot_data);
    o.split = NULL;
    o.max_samples = 0;
    return lf_text_shots_open(&lf_language_of(t)->shots, &o, lf_cfg_i64(t->cfg, LF_num_fewshot), like->seed, err);
}

/* What examples stand before has an end. */
static lf_status check_asked(const lf_task *t, lf_data_role role, lf_err *err) {
    const lf_text_dataset *d = lf_language_of(t)->data[role];
    if (!lf_text_dataset_windowed(d) && !lf_text_dataset_is(d, LF_TEXT_ONE_FIELD) &&
        !lf_text_dataset_is(d, LF_TEXT_CHAT))
        return LF_OK;
    return lf_cfg_fail(t->cfg, LF_num_fewshot, err, "%s has records of layout '%s', which have no prompt and answer",
                       lf_text_dataset_path(d), lf_text_dataset_layout(d));
}

static lf_status open_data(lf_task *t, lf_data_role role, const lf_data_from *from, lf_err *err) {
    lf_language *l = t->data;
    lf_text_labelling how;
    lf_status rc = lf_language_open_text(t, err);
    if (rc || (lf_data_is_put_to_base(role) && (rc = open_base_text(t, err)))) return rc;
    lf_text_dataset_opts o = {.spec = lf_cfg_json(t->cfg, from->key),
                              .key = lf_key_name(from->key),
                              .split = from->split,
                              .text_field = lf_cfg_str(t->cfg, LF_text_field),
                              .prompt_template = lf_cfg_str(t->cfg, LF_prompt_template),
                              .chat = &lf_language_text(t, role)->chat,
                              .labelling = labelling(&how, t, role),
                              .max_samples = from->limit ? lf_cfg_i64(t->cfg, from->limit) : 0,
                              .seed = lf_task_data_seed(t)};
    if (role == LF_DATA_REPLAY && lf_task_balances_replay(t))
        return lf_cfg_fail(t->cfg, LF_replay_choice, err,
                           "old texts are drawn from all of them, in this version; leave it out");
    const bool shots = from->key == LF_data && lf_cfg_i64(t->cfg, LF_num_fewshot) > 0 && !classifies(t);
    if (shots && (rc = open_shots(t, &o, err))) return rc;
    const lf_text_before before = {lf_text_shots_put_before, l->shots};
    if (shots) o.before = &before;
    rc = lf_text_dataset_open(&l->data[role], &o, err);
    if (rc || (shots && (rc = check_asked(t, role, err)))) return rc;
    say_unread_keys(t, role);
    if (lf_text_dataset_is(l->data[role], LF_TEXT_CLASSIFIED)) return take_labels(t, role, from, err);
    if (classifies(t) && (rc = t->type->opened(t, role, err))) return rc;
    warn_of_ends(t, role);
    return LF_OK;
}

/* Folders of classes may stand in a folder for each split. */
static bool has_split(const lf_task *t, const cJSON *spec, const char *split) {
    const cJSON *path = cJSON_IsObject(spec) ? cJSON_GetObjectItemCaseSensitive(spec, "path") : spec;
    const char *alias;
    bool found = lf_text_dataset_has_split(spec, split);
    for (int a = 0; classifies(t) && cJSON_IsString(path) && !found && (alias = lf_split_alias(split, a)); a++) {
        char *below = lf_path_join(path->valuestring, alias);
        found = below && lf_is_dir(below);
        lf_free(below);
    }
    return found;
}

static lf_status split_data(lf_task *t, lf_data_role from, lf_data_role to, double share, lf_err *err) {
    lf_language *l = t->data;
    return lf_text_dataset_split(l->data[from], share, lf_task_data_seed(t), &l->data[to], err);
}

static bool has_data(const lf_task *t, lf_data_role role) { return lf_language_of(t)->data[role] != NULL; }
static lf_status fingerprint(const lf_task *t, lf_data_role role, lf_fingerprint *out, lf_err *err) {
    return lf_text_dataset_fingerprint(out, lf_language_of(t)->data[role], err);
}

/* Documents; windows where the text is cut into windows, which its loader knows. */
static int64_t count(const lf_task *t, lf_data_role role) {
    const lf_language *l = t->data;
    return l->loaders[role] ? lf_text_loader_count(l->loaders[role]) : lf_text_dataset_count(l->data[role]);
}

static const char *extent(const lf_task *t, lf_data_role role, int64_t *indices, int64_t *tokens) {
    const lf_language *l = t->data;
    const bool packed = lf_cfg_bool(t->cfg, LF_packing) && !classifies(t);
    if (!packed && !lf_text_dataset_windowed(l->data[role]))
        return "texts that are not packed are as long as the longest of their batch, which another batch has not";
    return lf_text_loader_extent(l->loaders[role], indices, tokens) ? NULL
                                                                    : "nothing was tokenised before it is needed";
}

static void describe(const lf_task *t, lf_data_role role, char *text, size_t size) {
    const lf_language *l = t->data;
    const lf_text_dataset *d = l->data[role];
    const lf_text_loader *loader = l->loaders[role];
    const bool classified = lf_text_dataset_is(d, LF_TEXT_CLASSIFIED);
    const char *what = lf_text_dataset_windowed(d) ? "windows" : classified ? "texts" : "documents";
    char tokens[160] = "";
    int64_t n_classes;
    if (classified && lf_text_dataset_classes(d, &n_classes) && role == LF_DATA_TRAIN)
        snprintf(tokens, sizeof tokens, " of %lld classes", (long long)n_classes);
    if (loader && lf_text_loader_stats(loader).scan_documents)
        snprintf(tokens + strlen(tokens), sizeof tokens - strlen(tokens), ", %lld tokens",
                 (long long)lf_text_loader_stats(loader).scan_tokens);
    if (loader && role == LF_DATA_TRAIN && lf_cfg_bool(t->cfg, LF_packing) && !classified)
        snprintf(tokens + strlen(tokens), sizeof tokens - strlen(tokens), " in %lld packed rows",
                 (long long)lf_text_loader_rows_per_epoch(loader));
    snprintf(text, size, "%lld %s%s (%s)", (long long)count(t, role), what, tokens, lf_text_dataset_path(d));
}

static void put_moment(const lf_task *t, lf_obj *o) {
    const lf_text_tokenizer *text = lf_language_of(t)->text;
    char date[LF_CHAT_DATE];
    if (text && text->chat_template && lf_chat_template_asks_date(text->chat_template))
        lf_obj_string(o, lf_key_name(LF_template_date), lf_chat_template_date(text->chat_template, date));
}

/* What conversations were rendered by, and what an adapter that training goes on with was trained with. */
static lf_status save_template(const lf_task *t, const char *dir, lf_err *err) {
    const lf_language *l = lf_language_of(t);
    const lf_text_dataset *d = l->data[LF_DATA_TRAIN];
    char *before;
    lf_status rc = lf_language_adapter_template(&before, t->cfg, err);
    if (!rc && l->text && (before || (d && lf_text_dataset_is(d, LF_TEXT_CHAT))))
        rc = lf_language_save_template(l->text, t->model, dir, err);
    lf_free(before);
    return rc;
}

static lf_status save_beside(const lf_task *t, const char *dir, lf_err *err) {
    static const char name[] = "generation_config.json"; /* the model's, wherever its tokenizer is from */
    const char *config = t->model->config_path;
    char *from = lf_format("%.*s%s", (int)(lf_path_base(config) - config), config, name);
    lf_status rc = from ? lf_text_tokenizer_copy(lf_language_of(t)->text, dir, err) : lf_no_memory(err, "%s", dir);
    if (!rc) rc = save_template(t, dir, err);
    if (!rc && lf_is_file(from)) rc = lf_copy_file(from, dir, name, err);
    lf_free(from);
    return rc;
}

/* The tokenizer, where it is not the base's: with new tokens, or from the adapter that training goes on with. And the
 * chat template likewise. */
static lf_status save_with_adapter(void *task, const char *dir, lf_err *err) {
    const lf_task *t = task;
    const lf_text_tokenizer *text = lf_language_of(t)->text;
    const char *from = lf_cfg_str(t->cfg, LF_continue_from);
    lf_status rc = LF_OK;
    if (text && (cJSON_GetArraySize(text->added) || (from && !strcmp(from, text->dir))))
        rc = lf_text_tokenizer_copy(text, dir, err);
    return rc ? rc : save_template(t, dir, err);
}

/* ---- batches to train on ---- */

/* With those of training all loaders, so that a bad record shows before the base is measured. */
static lf_status plan(lf_task *t, lf_data_role role, int64_t batch_size, int64_t *batches_per_epoch, lf_err *err) {
    lf_language *l = t->data;
    lf_text_loader *loader;
    l->batch_size[role] = batch_size;
    lf_status rc = lf_language_loader(t, role, &loader, err);
    for (int other = 0; other < LF_DATA_ROLES && role == LF_DATA_TRAIN && !rc; other++)
        if (l->data[other]) rc = lf_language_loader(t, (lf_data_role)other, &loader, err);
    if (!rc) *batches_per_epoch = lf_text_loader_batches_per_epoch(l->loaders[role]);
    return rc;
}

static lf_status start(lf_task *t, lf_data_role role, int64_t epoch, int64_t batch, lf_portion portion, lf_err *err) {
    lf_language_of(t)->served_all[role] = lf_portion_is_all(portion);
    return lf_text_loader_restart(lf_language_of(t)->loaders[role], epoch, batch, portion, err);
}

/* Batches without a target are left out: there is nothing to learn from them, unless it is no label that is learned.
 * That there is none at all shows where all are served. */
static lf_status next(lf_task *t, lf_data_role role, const lf_example_batch **out, lf_err *err) {
    lf_language *l = t->data;
    lf_text_loader *loader = l->loaders[role];
    *out = NULL;
    const bool needs_targets = l->served_all[role] && (lf_task_reads_labels(t, role) || !classifies(t));
    for (int64_t empty = 0; empty <= lf_text_loader_batches_per_epoch(loader); empty++) {
        const lf_text_batch *b;
        const lf_status rc = lf_text_loader_next(loader, &b, err);
        if (rc || !b) return rc;
        if (!b->n_targets && needs_targets) continue;
        l->batch[role] = lf_batch_of_text(b);
        l->batch[role].old = role == LF_DATA_REPLAY;
        *out = &l->batch[role];
        return LF_OK;
    }
    return lf_fail(err, LF_EDATA, "%s: holds no token to predict; a text needs two tokens at least",
                   lf_text_dataset_path(l->data[role]));
}

static double waited(const lf_task *t) {
    const lf_text_loader *loader = lf_language_of(t)->loaders[LF_DATA_TRAIN];
    return loader ? lf_text_loader_waited(loader) : 0;
}

static int64_t skipped(const lf_task *t) {
    (void)t;
    return 0;
}

static lf_status random_batch(lf_task *t, int64_t batch, int64_t seq, const lf_example_batch **out, lf_err *err) {
    lf_language *l = t->data;
    lf_text_batch *b = &l->random;
    const int64_t context = t->model->tokens.max_positions,
                  T = seq > 0                           ? seq
                      : context && context < RANDOM_SEQ ? context
                                                        : RANDOM_SEQ,
                  n = batch * T;
    if (context && T > context)
        return lf_cfg_fail(t->cfg, LF_seq, err, "expected at most the model's %lld positions (%s), found %lld",
                           (long long)context, t->model->config_path, (long long)T);
    const uint64_t seed = (uint64_t)lf_cfg_i64(t->cfg, LF_seed), V = (uint64_t)t->model->tokens.vocab_size;
    const lf_rng_key ids = lf_rng_make(seed, LF_RNG_TEST, STREAM_IDS),
                     labels = lf_rng_make(seed, LF_RNG_TEST, STREAM_LABELS);
    *b = (lf_text_batch){
        .B = batch, .T = T, .n_targets = classifies(t) ? batch : n, .n_tokens = n, .n_documents = batch};
    b->ids = lf_aligned_alloc((size_t)n * sizeof *b->ids);
    b->labels = lf_aligned_alloc((size_t)n * sizeof *b->labels);
    b->positions = lf_aligned_alloc((size_t)n * sizeof *b->positions);
    if (!b->ids || !b->labels || !b->positions)
        return lf_no_memory(err, "a batch of %lld x %lld tokens; try a smaller one", (long long)batch, (long long)T);
    for (int64_t i = 0; i < n; i++) {
        b->ids[i] = (int32_t)lf_rng_below(ids, (uint64_t)i, V);
        b->labels[i] = (int32_t)lf_rng_below(labels, (uint64_t)i, V);
        b->positions[i] = (int32_t)(i % T);
    }
    if (classifies(t)) {
        b->lengths = lf_aligned_alloc((size_t)batch * sizeof *b->lengths);
        b->classes = lf_aligned_alloc((size_t)batch * sizeof *b->classes);
        if (!b->lengths || !b->classes) return lf_no_memory(err, "a batch of %lld texts", (long long)batch);
        for (int64_t i = 0; i < batch; i++) {
            b->lengths[i] = (int32_t)T;
            b->classes[i] = (int32_t)lf_rng_below(labels, (uint64_t)i, (uint64_t)t->model->head.n_labels);
        }
    }
    l->batch[LF_DATA_TRAIN] = lf_batch_of_text(b);
    *out = &l->batch[LF_DATA_TRAIN];
    return LF_OK;
}

/* Single rows, from where they can be seen one by one: records in their file's order, packed rows as the first epoch
 * has them. */
static lf_status preview(lf_task *t, int64_t n, const char *sheet, lf_obj *out, lf_err *err) {
    const lf_language *l = t->data;
    lf_text_loader_opts o = lf_language_loader_opts(t, LF_DATA_TRAIN);
    (void)sheet;
    o.batch_size = 1;
    o.shuffle = o.packing;
    o.scan = false;
    o.epochs = 1;
    if (classifies(t))
        return lf_preview_classified(l->data[LF_DATA_TRAIN], &l->text->encoder, l->text->tokenizer, &o, n, out, err);
    return lf_preview_text(l->data[LF_DATA_TRAIN], &l->text->encoder, l->text->tokenizer, &o, n, out, err);
}

static lf_status examples(lf_task *t, lf_data_role role, lf_examples **out, lf_err *err) {
    lf_language *l = t->data;
    lf_text_loader *loader;
    const lf_status rc = lf_language_loader(t, role, &loader, err);
    if (!rc) *out = lf_examples_of_text(&l->examples[role], l->data[role], loader);
    return rc;
}

static int64_t class_of(const void *data, int64_t i) { return lf_text_dataset_class(data, i); }

static bool labels(const lf_task *t, lf_data_role role, lf_data_labels *out) {
    const lf_text_dataset *d = lf_language_of(t)->data[role];
    if (!d || !lf_text_dataset_is(d, LF_TEXT_CLASSIFIED)) return false;
    *out = (lf_data_labels){.path = lf_text_dataset_path(d),
                            .problem = lf_text_dataset_problem(d),
                            .count = lf_text_dataset_count(d),
                            .data = d,
                            .class_of = class_of};
    out->classes = lf_text_dataset_classes(d, &out->n);
    if (out->problem == LF_REGRESSION) {
        out->width = lf_text_dataset_width(d);
        out->numbers = lf_text_dataset_numbers(d);
    }
    return true;
}

const lf_source_type lf_source_text = {
    .input = LF_TOKENS,
    .unit = "tokens",
    .open = open,
    .close = close,
    .has_split = has_split,
    .open_data = open_data,
    .split_data = split_data,
    .has_data = has_data,
    .count = count,
    .extent = extent,
    .fingerprint = fingerprint,
    .describe = describe,
    .labels = labels,
    .put_moment = put_moment,
    .save_beside = save_beside,
    .save_with_adapter = save_with_adapter,
    .plan = plan,
    .start = start,
    .next = next,
    .skipped = skipped,
    .waited = waited,
    .random_batch = random_batch,
    .preview = preview,
    .examples = examples,
    .look = lf_language_look,
};
