/* A configuration in YAML becomes the JSON that it stands for, over libyaml. YAML leaves open what a word that stands
 * without quotes is; here the key decides that it belongs to: 1e-3 is a number where a number is wanted, "no" is false
 * for a switch and a text for a name. Where no key decides, it is YAML 1.2's null, true, false, or a decimal number,
 * else a text. */
#include <string.h>
#include <yaml.h>

#include "base/file.h"
#include "base/mem.h"
#include "config/config_internal.h"

/* A text of a kilobyte can name one list a billion times; a configuration has some hundred values. */
enum { MOST_VALUES = 100000, MOST_MEMBERS = 2000, MOST_DEEP = 64 };

typedef struct reading {
    yaml_document_t *document;
    const char *path;
    int64_t values;
    lf_err *err;
} reading;

static lf_status fail_at(const reading *r, yaml_mark_t at, const char *what) {
    return lf_fail(r->err, LF_EUSAGE, "%s, line %zu: %s", r->path, at.line + 1, what);
}

static lf_status fail_at_key(const reading *r, const yaml_node_t *key, const char *what) {
    return lf_fail(r->err, LF_EUSAGE, "%s, line %zu: key '%.64s' %s", r->path, key->start_mark.line + 1,
                   (const char *)key->data.scalar.value, what);
}

static lf_status keep(const reading *r, cJSON **out, cJSON *made) {
    *out = made;
    return made ? LF_OK : lf_no_memory(r->err, "%s", r->path);
}

/* ---- a word ---- */

/* `words`: ends with NULL. */
static bool is_one_of(const char *text, const char *const *words) {
    while (*words && strcmp(text, *words) != 0) words++;
    return *words != NULL;
}

static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL}, *const truths[] = {
                                                                                "true",  "True",  "TRUE", "false",
                                                                                "False", "FALSE", NULL};

/* What does not suit the key stays a text, which the key then refuses by its own words. */
static cJSON *plain_word(const char *text, const lf_key *key) {
    const lf_key_type type = key ? key->type : LF_KEY_JSON;
    bool truth;
    double number;
    if (is_one_of(text, nulls)) return cJSON_CreateNull();
    if (type == LF_KEY_BOOL ? lf_text_to_bool(text, &truth)
                            : type == LF_KEY_JSON && is_one_of(text, truths) && lf_text_to_bool(text, &truth))
        return cJSON_CreateBool(truth);
    if ((type == LF_KEY_I64 || type == LF_KEY_F64 || type == LF_KEY_JSON) && lf_text_to_number(text, &number))
        return cJSON_CreateNumber(number);
    return cJSON_CreateString(text);
}

static lf_status read_word(const reading *r, cJSON **out, const yaml_node_t *node, const lf_key *key) {
    const char *text = (const char *)node->data.scalar.value;
    if (strlen(text) != node->data.scalar.length) return fail_at(r, node->start_mark, "a NUL byte in a text");
    if (strcmp((const char *)node->tag, YAML_STR_TAG) != 0)
        return fail_at(r, node->start_mark, "a tag ('!...'), which is not read; quote what is to be a text");
    const bool plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return keep(r, out, plain ? plain_word(text, key) : cJSON_CreateString(text));
}

/* ---- lists and objects ---- */

/* What a word stands in: the key that it is a value of, and whether the names of members are keys. */
typedef struct scope {
    const lf_key *key;
    bool keys;
} scope;

static lf_status read_node(reading *r, cJSON **out, int index, scope in, int depth);

static lf_status read_list(reading *r, cJSON **out, const yaml_node_t *node, scope in, int depth) {
    lf_status rc = keep(r, out, cJSON_CreateArray());
    for (const yaml_node_item_t *i = node->data.sequence.items.start; !rc && i < node->data.sequence.items.top; i++) {
        cJSON *item = NULL;
        rc = read_node(r, &item, *i, in, depth);
        if (item && !cJSON_AddItemToArray(*out, item)) rc = lf_no_memory(r->err, "%s", r->path);
    }
    return rc;
}

/* The names in a file are keys, and so are those in a sweep, in a zip of it and in tasks; what is in an object that a
 * key takes as its value (rank_pattern, data) has names of its own. */
static bool holds_keys(const lf_key *key, const char *name) {
    return key ? key == &lf_keys[LF_sweep - 1] || key == &lf_keys[LF_tasks - 1] : strcmp(name, "zip") == 0;
}

static lf_status read_member(reading *r, cJSON *object, const yaml_node_pair_t *pair, scope in, int depth) {
    const yaml_node_t *name = yaml_document_get_node(r->document, pair->key);
    if (name->type != YAML_SCALAR_NODE) return fail_at(r, name->start_mark, "a key that is no word");
    const char *text = (const char *)name->data.scalar.value;
    if (strlen(text) != name->data.scalar.length) return fail_at(r, name->start_mark, "a NUL byte in a key");
    if (strcmp(text, "<<") == 0) return fail_at_key(r, name, "(merging) is not read; write the keys out");
    if (cJSON_GetObjectItemCaseSensitive(object, text)) return fail_at_key(r, name, "given twice; delete one");
    cJSON *value = NULL;
    scope below = {.key = in.keys ? lf_key_find(text, LF_V_ALL) : NULL};
    below.keys = in.keys && holds_keys(below.key, text);
    const lf_status rc = read_node(r, &value, pair->value, below, depth);
    if (rc) {
        cJSON_Delete(value);
        return rc;
    }
    return cJSON_AddItemToObject(object, text, value) ? LF_OK : lf_no_memory(r->err, "%s", r->path);
}

static lf_status read_object(reading *r, cJSON **out, const yaml_node_t *node, scope in, int depth) {
    lf_status rc = keep(r, out, cJSON_CreateObject());
    if (node->data.mapping.pairs.top - node->data.mapping.pairs.start > MOST_MEMBERS)
        return fail_at(r, node->start_mark, "more keys than a configuration can have");
    for (const yaml_node_pair_t *i = node->data.mapping.pairs.start; !rc && i < node->data.mapping.pairs.top; i++)
        rc = read_member(r, *out, i, in, depth);
    return rc;
}

static lf_status read_node(reading *r, cJSON **out, int index, scope in, int depth) {
    const yaml_node_t *node = yaml_document_get_node(r->document, index);
    *out = NULL;
    if (depth > MOST_DEEP || ++r->values > MOST_VALUES)
        return fail_at(r, node->start_mark, "more values, or lists in lists, than a configuration can have");
    switch (node->type) {
    case YAML_SCALAR_NODE: return read_word(r, out, node, in.key);
    case YAML_SEQUENCE_NODE: return read_list(r, out, node, in, depth + 1);
    case YAML_MAPPING_NODE: return read_object(r, out, node, in, depth + 1);
    default: return fail_at(r, node->start_mark, "expected a value");
    }
}

/* ---- a file ---- */

static lf_status fail_in_parser(const reading *r, const yaml_parser_t *parser) {
    if (parser->error == YAML_MEMORY_ERROR) return lf_no_memory(r->err, "%s", r->path);
    const char *problem = parser->problem ? parser->problem : "broken";
    if (parser->error == YAML_READER_ERROR)
        return lf_fail(r->err, LF_EUSAGE, "%s: not YAML: %s at byte %zu", r->path, problem, parser->problem_offset);
    return lf_fail(r->err, LF_EUSAGE, "%s, line %zu: not YAML: %s", r->path, parser->problem_mark.line + 1, problem);
}

/* The first document, and nothing after it. */
static lf_status read_documents(cJSON **out, yaml_parser_t *parser, const char *path, lf_err *err) {
    yaml_document_t document, second;
    reading r = {.document = &document, .path = path, .err = err};
    if (!yaml_parser_load(parser, &document)) return fail_in_parser(&r, parser);
    lf_status rc = yaml_document_get_root_node(&document)
                       ? read_node(&r, out, 1, (scope){.keys = true}, 0)
                       : lf_fail(err, LF_EUSAGE, "%s: empty; expected lines 'key: value'", path);
    if (!rc && !yaml_parser_load(parser, &second)) {
        rc = fail_in_parser(&r, parser);
    } else if (!rc) {
        if (yaml_document_get_root_node(&second))
            rc = lf_fail(err, LF_EUSAGE, "%s: a second document ('---'); a configuration is one", path);
        yaml_document_delete(&second);
    }
    yaml_document_delete(&document);
    return rc;
}

lf_status lf_config_read_yaml(cJSON **out, const char *path, lf_err *err) {
    char *text = NULL;
    size_t size = 0;
    yaml_parser_t parser;
    *out = NULL;
    lf_status rc = lf_file_read(&text, &size, path, err);
    if (!rc && !yaml_parser_initialize(&parser)) rc = lf_no_memory(err, "%s", path);
    if (!rc) {
        yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
        rc = read_documents(out, &parser, path, err);
        yaml_parser_delete(&parser);
    }
    lf_free(text);
    if (!rc) return LF_OK;
    cJSON_Delete(*out);
    *out = NULL;
    return rc;
}

bool lf_config_is_yaml(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}
