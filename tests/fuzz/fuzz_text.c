/* Texts that are trained on: the first byte says in which format and what is asked of the records, the second how they
 * are read; then, where it is asked for, an object up to a NUL, whose members are keys of the data's spec; then a file,
 * or a folder of them (files.h). One line of error, or records whose parts are where they say, and tokens of all. */
#include "base/csv.h"
#include "base/json.h"
#include "data/delimited.h"
#include "data/rows.h"
#include "data/text/dataset.h"
#include "data/text/tokens.h"
#include "files.h"
#include "spec.h"

enum { FORMAT = 7, TEMPLATE = 8, CHAT = 16, LABELS = 32, PROMPTS = 64, SPEC = 128 }; /* the first byte */
enum { FOLDER = 1, TRAINING = 2, NO_SCAN = 4, LABELLING = 24, FEW = 32, TOLERANT = 64, BEFORE = 128 }; /* the second */

static void check_failure(lf_status rc, const lf_err *err) {
    require((rc == LF_EDATA || rc == LF_EUSAGE) && err->message[0] && !strchr(err->message, '\n'));
}

/* ---- a chat template ---- */

/* "ROLE: CONTENT" a line. A content of "!" makes answers that are none, which a template of a model's could. */
static bool put_message(lf_string *text, lf_prompt *out, const lf_message *m) {
    const char *content = m->content ? m->content : "parts";
    lf_string_put(text, m->role, strlen(m->role));
    lf_string_put(text, ": ", 2);
    const size_t begin = text->n;
    lf_string_put(text, content, strlen(content));
    lf_string_put(text, "\n", 1);
    if (strcmp(m->role, "assistant") != 0 || m->unlearned) return true;
    lf_answer *grown = lf_realloc(out->answers, (out->n_answers + 1) * sizeof *grown);
    if (!grown) return false;
    out->answers = grown;
    grown[out->n_answers++] = (lf_answer){begin, strcmp(content, "!") == 0 ? SIZE_MAX : text->n};
    return true;
}

static lf_status render(void *context, const lf_message *messages, size_t n, const cJSON *tools, bool asks,
                        lf_prompt *out, lf_err *err) {
    lf_string text = {0};
    (void)context;
    *out = (lf_prompt){0};
    if (n && messages[0].content && strcmp(messages[0].content, "no") == 0)
        return lf_fail(err, LF_EDATA, "the chat template says: no");
    if (tools) require(lf_json_put_value(&text, tools) || cJSON_IsArray(tools) || cJSON_IsObject(tools));
    for (size_t i = 0; i < n; i++) require(put_message(&text, out, &messages[i]));
    if (asks) lf_string_put(&text, "assistant: ", 11);
    out->n = text.n;
    require((out->text = lf_string_take(&text)) != NULL);
    return LF_OK;
}

static bool reads(void *context, const char *key) {
    (void)context;
    return strcmp(key, "tool_calls") == 0 || strcmp(key, "critic") == 0;
}

/* ---- a tokenizer ---- */

enum { BOS = 256, EOS, PAD, VOCABULARY };

/* A byte is a token; with special ones, BOS stands before them. */
static lf_status encode(void *context, const char *text, size_t n, bool special, lf_ids *out, lf_err *err) {
    (void)context;
    require(lf_ids_reserve(out, (int64_t)n + 1));
    if (special) out->ids[out->n++] = BOS;
    for (size_t i = 0; i < n; i++) out->ids[out->n++] = (unsigned char)text[i];
    (void)err;
    return LF_OK;
}

static lf_status encode_pair(void *context, const char *a, size_t na, const char *b, size_t nb, int64_t most,
                             lf_ids *ids, lf_ids *types, int64_t *n_left_out, lf_err *err) {
    require(encode(context, a, na, true, ids, err) == LF_OK);
    const int64_t first = ids->n;
    require(!b || encode(context, b, nb, false, ids, err) == LF_OK);
    *n_left_out = ids->n > most ? ids->n - most : 0;
    ids->n -= *n_left_out;
    require(lf_ids_reserve(types, ids->n + 1));
    for (int64_t i = 0; i < ids->n; i++) types->ids[types->n++] = i >= first;
    return LF_OK;
}

/* ---- what is looked at ---- */

static void check_example(const lf_text_dataset *d, int64_t i) {
    lf_text_example e;
    lf_err err = {0};
    const lf_status rc = lf_text_dataset_example(d, i, &e, &err);
    if (rc) {
        check_failure(rc, &err);
        return;
    }
    require(strlen(e.text) == e.n && (!e.second || strlen(e.second) == e.n_second));
    for (int64_t k = 0; k < e.n_answers; k++)
        require(e.answers[k].begin <= e.answers[k].end && e.answers[k].end <= e.n);
    require(e.n_choices == 0 || e.n_answers == 0 || (e.answer >= 0 && e.answer < e.n_choices));
    for (int64_t k = 0; k < e.n_choices && e.n_answers; k++) require(lf_text_example_choose(&e, k, NULL) == LF_OK);
    lf_text_example_free(&e);
}

static void check_labels(const lf_text_dataset *d) {
    int64_t n;
    char name[700];
    const char *const *classes = lf_text_dataset_classes(d, &n);
    for (int64_t i = 0; i < n; i++) require(classes[i] != NULL);
    for (int64_t i = 0; i < lf_text_dataset_count(d); i++) {
        const int64_t c = lf_text_dataset_class(d, i);
        require(c >= -1 && (c < n || !classes));
        require(lf_text_dataset_record_name(d, i, name, sizeof name) == name && *name);
    }
}

static void check_tokens(const lf_text_dataset *d, uint8_t how) {
    const lf_text_encoder encoder = {
        .encode = encode, .encode_pair = encode_pair, .bos = BOS, .eos = EOS, .pad = PAD, .vocab_size = VOCABULARY};
    const lf_text_encode_opts opts = {.max_seq_length = how & FEW ? 6 : 64,
                                      .training = how & TRAINING,
                                      .overlong = how & TOLERANT ? LF_TEXT_SKIP : LF_TEXT_TRUNCATE};
    enum { IN_MEMORY = 1 << 20, PIECE = 24 };
    lf_text_coder coder;
    lf_text_scan scan;
    lf_err err = {0};
    require(lf_text_coder_init(&coder, &encoder, &opts, NULL) == LF_OK);
    const lf_status rc = lf_text_scan_run(&scan, d, &coder, 1, IN_MEMORY, PIECE, &err);
    if (rc) check_failure(rc, &err);
    for (int64_t i = 0; !rc && i < scan.n; i++) {
        const lf_text_kept *k = &scan.documents[i];
        require(k->first >= 0 && k->n >= 0 && k->cut >= 0 && k->first + k->n <= lf_token_store_count(scan.store));
        require(k->n <= opts.max_seq_length);
    }
    if (!rc) lf_text_scan_free(&scan);
    lf_text_coder_free(&coder);
}

static void look(lf_text_dataset *d, uint8_t how) {
    enum { MOST = 40 };
    lf_fingerprint print;
    const bool windowed = lf_text_dataset_windowed(d);
    for (int64_t i = 0; i < lf_text_dataset_count(d) && i < MOST && !windowed; i++) check_example(d, i);
    lf_text_dataset_say_unread(d);
    if (lf_text_dataset_labelled(d)) check_labels(d);
    require(lf_text_dataset_fingerprint(&print, d, NULL) == LF_OK && lf_text_dataset_layout(d));
    require(windowed ? !lf_text_dataset_is(d, LF_TEXT_CHAT) : *lf_text_dataset_layout(d));
    if (!(how & NO_SCAN)) check_tokens(d, how);
}

/* ---- a table ---- */

/* Each row, written as CSV and read again, is what it was, but for what a spreadsheet would run. */
static lf_status check_row(void *context, const lf_row *row, lf_err *err) {
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    (void)context, (void)err;
    require(f && row->n > 0);
    for (int64_t i = 0; i < row->n; i++) {
        lf_csv_text(f, row->fields[i]);
        fputc(',', f);
    }
    require(fclose(f) == 0);
    lf_fields fields = {text, text + n, {',', true}};
    lf_string field = {0};
    for (int64_t i = 0; i < row->n; i++) {
        lf_string_empty(&field);
        require(lf_field_next(&fields, &field) == LF_MORE_FIELDS && lf_string_put(&field, "", 0));
        const char *now = field.s;
        if (now[0] == '\'' && now[1] && strchr("=+-@\t\r", now[1]) && strcmp(now, row->fields[i]) != 0) now++;
        require(strcmp(now, row->fields[i]) == 0);
    }
    lf_string_free(&field);
    free(text);
    return LF_OK;
}

static void check_rows(const char *path) {
    lf_err err = {0};
    require_said(lf_rows_each(path, check_row, NULL, &err), &err);
}

/* ---- an input ---- */

static const char *const formats[FORMAT + 1] = {"jsonl", "json", "csv", "tsv", "text", "trec"}; /* NULL: by the name */

/* Before the text of each example stands what the program puts there, as examples of a prompt do. */
static lf_status put_before(const void *context, lf_text_example *e, lf_err *err) {
    (void)context;
    return strlen(e->text) == e->n ? LF_OK : lf_fail(err, LF_EDATA, "an example that is not as long as it says");
}

static void open_texts(const char *path, uint8_t what, uint8_t how, fuzz_part more) {
    static const lf_text_chat chat = {.render = render, .reads = reads};
    const lf_text_labelling labelling = {.labels = (lf_text_labels_asked)((how & LABELLING) / 8)};
    const lf_text_before before = {.put = put_before};
    lf_text_dataset *d = NULL;
    lf_err err = {0};
    cJSON *spec = make_spec(path, formats[what & FORMAT], more);
    const lf_text_dataset_opts opts = {.spec = spec,
                                       .key = "fuzz",
                                       .split = "train",
                                       .prompts = what & PROMPTS,
                                       .system = what & PROMPTS ? "Be brief." : NULL,
                                       .chat = what & CHAT ? &chat : NULL,
                                       .labelling = what & LABELS ? &labelling : NULL,
                                       .max_samples = how & FEW ? 3 : 0,
                                       .before = how & BEFORE ? &before : NULL,
                                       .prompt_template = what & TEMPLATE ? "{question}{{{input}" : NULL};
    const lf_status rc = lf_text_dataset_open(&d, &opts, &err);
    require((rc == LF_OK) == (d != NULL));
    if (rc) check_failure(rc, &err);
    if (d) look(d, how);
    lf_text_dataset_free(d);
    cJSON_Delete(spec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    lf_log_set_level(LF_LOG_QUIET);
    const uint8_t what = take_byte(&in), how = take_byte(&in);
    const fuzz_part more = what & SPEC ? take_part(&in) : take_bytes(&in, 0);
    const char *format = formats[what & FORMAT];
    if (how & FOLDER) {
        put_folder("texts", &in);
        open_texts(in_folder("texts"), what, how, more);
    } else {
        const fuzz_part body = take_rest(&in);
        char name[32];
        snprintf(name, sizeof name, "text.%s", format ? format : "txt");
        put_part(name, body);
        open_texts(in_folder(name), what, how, more);
        if (format && (strcmp(format, "csv") == 0 || strcmp(format, "tsv") == 0)) check_rows(in_folder(name));
        free(body.s);
    }
    free(more.s);
    require(lf_alloc_live() == 0);
    return 0;
}
