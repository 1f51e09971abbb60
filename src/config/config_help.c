/* --help and docs/config.md, both from the table of keys. */
#include <string.h>

#include "config/known.h"

const char *lf_folder_title(const char *folder) {
    static const char *const titles[][2] = {
        {"model", "Model"}, {"data", "Data"},       {"adapter", "Adapter"}, {"train", "Training"},
        {"sweep", "Sweep"}, {"eval", "Evaluation"}, {"tools", "Tools"},
    };
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        if (strcmp(titles[i][0], folder) == 0) return titles[i][1];
    return folder;
}

/* ---- help of a verb ------------------------------------------------------------------------------------------ */

enum { HELP_INDENT = 8, HELP_WIDTH = 100 };

/* Words of `text`, wrapped and indented. */
static void print_wrapped(FILE *out, const char *text) {
    int column = 0;
    while (*text) {
        const int n = (int)strcspn(text, " ");
        if (column == 0 || column + 1 + n > HELP_WIDTH)
            column = fprintf(out, "%s%*s%.*s", column ? "\n" : "", HELP_INDENT, "", n, text) - (column ? 1 : 0);
        else
            column += fprintf(out, " %.*s", n, text);
        text += n;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

void lf_key_range_text(const lf_key *key, char *out, size_t size) {
    out[0] = '\0';
    if (key->choices && key->type != LF_KEY_I64)
        lf_choices_text(key->choices, out, size);
    else if (key->min == 0 && key->max == 0)
        return;
    else if (key->max >= LF_NO_MAX)
        snprintf(out, size, "%.9g or more", key->min);
    else
        snprintf(out, size, "%.9g to %.9g", key->min, key->max);
}

static void print_key(FILE *out, const lf_key *key) {
    char range[512];
    lf_key_range_text(key, range, sizeof range);
    fprintf(out, "  --%s %s\n", key->name, lf_key_type_shown[key->type]);
    print_wrapped(out, key->help);
    fprintf(out, "%*s%s%s", HELP_INDENT, "", lf_key_default(key) ? "default " : "no default",
            lf_key_default(key) ? lf_key_default(key) : "");
    if (*range) fprintf(out, "; %s", range);
    const char *aliases = key->aliases, *before = "; also ";
    for (lf_slice alias; lf_next_item(&aliases, &alias); before = ", ")
        fprintf(out, "%s%s%.*s", before, alias.length > 1 ? "--" : "-", alias.length, alias.start);
    fputc('\n', out);
}

/* What nearly everybody sets, or should look at; 0: in every verb that has it. continual's data are its tasks'. */
enum { ONE = LF_V_ALL & ~LF_V_continual, SEQUENCES = LF_V_continual | LF_V_sweep };
static const struct {
    lf_key_id key;
    unsigned verbs;
} usual[] = {
    {LF_sweep, 0},
    {LF_jobs, 0},
    {LF_tasks, SEQUENCES},
    {LF_orders, 0},
    {LF_between, LF_V_continual},
    {LF_heads, LF_V_continual},
    {LF_model, 0},
    {LF_train_data, ONE},
    {LF_eval_data, ONE},
    {LF_test_data, ONE},
    {LF_forgetting_data, 0},
    {LF_output_dir, 0},
    {LF_init_lora_weights, 0},
    {LF_init_position, 0},
    {LF_r, 0},
    {LF_lora_alpha, 0},
    {LF_target_modules, 0},
    {LF_learning_rate, 0},
    {LF_num_train_epochs, 0},
    {LF_per_device_train_batch_size, 0},
    {LF_precision, 0},
    {LF_n, 0},
    {LF_sheet, 0},
};
enum { MANY_KEYS = 60 }; /* of a verb: its help begins with the usual ones */

static void print_usual(FILE *out, const lf_verb *verb, int n_keys) {
    fputs("\nThe usual keys\n", out);
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        const lf_key *key = &lf_keys[usual[i].key - 1];
        if (key->verbs & verb->knows && (!usual[i].verbs || usual[i].verbs & verb->bit)) print_key(out, key);
    }
    fprintf(out,
            "\n'lora-ft %s --help all' lists all %d, 'lora-ft help KEY' one, also by the name that another tool has.\n",
            verb->name, n_keys);
}

static void print_sections(FILE *out, const lf_verb *verb) {
    const char *folder = "";
    for (size_t i = 0; i < lf_n_keys; i++) {
        if (!(lf_keys[i].verbs & verb->knows)) continue;
        if (strcmp(folder, lf_keys[i].folder) != 0) fprintf(out, "\n%s\n", lf_folder_title(lf_keys[i].folder));
        folder = lf_keys[i].folder;
        print_key(out, &lf_keys[i]);
    }
}

static void verb_help(FILE *out, const lf_verb *verb, bool all) {
    fprintf(
        out,
        "lora-ft %s: %s\n\n"
        "Usage: lora-ft %s [%sFILE] [--config FILE] [--key value | --key=value | key=value | --flag | "
        "--no-flag]...\n\n"
        "A config file is a JSON object of the keys below; // and /* */ comments are allowed; or the same in\n"
        "YAML, where its name ends in .yaml or .yml. Flags win over files.\n"
        "Dashes and underscores are the same in names. --print-config shows the resolved configuration and stops.\n",
        verb->name, verb->summary, verb->name, verb->bit == LF_V_report ? "RUN] [" : "");
    int n_keys = 0;
    for (size_t i = 0; i < lf_n_keys; i++) n_keys += (lf_keys[i].verbs & verb->knows) != 0;
    if (all || n_keys < MANY_KEYS)
        print_sections(out, verb);
    else
        print_usual(out, verb, n_keys);
}

/* ---- help of a name ------------------------------------------------------------------------------------------- */

static void print_verbs(FILE *out, const lf_key *key) {
    fprintf(out, "%*sof:", HELP_INDENT, "");
    for (size_t i = 0; i < lf_n_verbs; i++)
        if (key->verbs & lf_verbs[i].bit) fprintf(out, " %s", lf_verbs[i].name);
    fputc('\n', out);
}

/* Values that are known and refused, each with its reason. */
static void print_refused(FILE *out, const lf_key *key) {
    const char *list = key->choices;
    for (lf_choice c; list && lf_next_choice(&list, &c);)
        if (c.reason.length)
            fprintf(out, "%*snot %.*s: %.*s\n", HELP_INDENT, "", c.given.length, c.given.start, c.reason.length,
                    c.reason.start);
}

static void print_known(FILE *out, const lf_known *k) {
    static const char *const meanings[] = {
        [LF_READ_AS] = "is read as", [LF_NO_EFFECT] = "has no effect:", [LF_NOT_HERE] = "is not here:"};
    fprintf(out, "  --%s %s %s %s\n", k->name,
            k->value  ? k->value
            : k->flag ? "BOOL"
                      : "VALUE",
            meanings[k->meaning], k->text);
}

bool lf_config_help_key(FILE *out, const char *name) {
    bool found = false;
    while (*name == '-') name++;
    for (size_t v = 0; v < lf_n_verbs; v++) { /* a name may be a key of one verb and an alias in another */
        const lf_key *key = lf_key_find(name, lf_verbs[v].bit);
        bool shown = !key;
        for (size_t w = 0; w < v; w++) shown = shown || lf_key_find(name, lf_verbs[w].bit) == key;
        if (shown) continue;
        print_key(out, key);
        print_verbs(out, key);
        print_refused(out, key);
        found = true;
    }
    for (size_t i = 0; i < lf_n_knowns && !found; i++)
        if (lf_known_find(name, NULL) && strcmp(lf_known_find(name, NULL)->name, lf_knowns[i].name) == 0)
            print_known(out, &lf_knowns[i]);
    return found || lf_known_find(name, NULL);
}

/* ---- docs/config.md ------------------------------------------------------------------------------------------ */

/* A bar would end the cell, angle brackets would be HTML. */
static void print_cell(FILE *out, const char *text) {
    for (; *text; text++) {
        if (*text == '|')
            fputs("\\|", out);
        else if (*text == '<')
            fputs("&lt;", out);
        else
            fputc(*text, out);
    }
}

static void markdown_row(FILE *out, const lf_key *key) {
    char range[512];
    lf_key_range_text(key, range, sizeof range);
    fprintf(out, "| `%s` | %s | ", key->name, lf_key_type_shown[key->type]);
    if (lf_key_default(key)) fprintf(out, "`%s`", lf_key_default(key));
    fputs(" | ", out);
    print_cell(out, range);
    fputs(" | ", out);
    const char *aliases = key->aliases;
    lf_slice alias;
    for (bool first = true; lf_next_item(&aliases, &alias); first = false)
        fprintf(out, "%s`%s%.*s`", first ? "" : ", ", alias.length > 1 ? "" : "-", alias.length, alias.start);
    fputs(" | ", out);
    if (key->verbs == LF_V_ALL) {
        fputs("all", out);
    } else {
        for (size_t i = 0, n = 0; i < lf_n_verbs; i++)
            if (key->verbs & lf_verbs[i].bit) fprintf(out, "%s%s", n++ ? ", " : "", lf_verbs[i].name);
    }
    fputs(" | ", out);
    print_cell(out, key->help);
    fputs(" |\n", out);
}

static void markdown(FILE *out) {
    fputs("# Configuration\n\n"
          "Made by `lora-ft help --markdown > docs/config.md` from the `keys.def` files; do not edit by hand.\n\n"
          "`lora-ft VERB [FILE] [--config FILE] [--key value | --key=value | key=value | --flag | --no-flag]...`\n\n"
          "A config file is a JSON object of these keys; `//` and `/* */` comments are allowed, and `null` means not "
          "set; or the same in YAML (`.yaml`, `.yml`), where a word without quotes is what its key wants: `1e-3` is a "
          "number, `no` "
          "false for a switch and a text for a name. "
          "Files are read first, flags win; of a flag that is given twice the last one counts, but LIST flags are "
          "put together. Dashes and underscores are the same in names. An unknown key, a wrong type "
          "or a "
          "value out of range ends the program with exit code 2 and a line that names the key. "
          "`--print-config` shows the resolved configuration and stops.\n\n"
          "Types: BOOL `true` or `false`; INT a whole number (`1e3` is one); NUMBER a decimal number; TEXT; PATH; "
          "LIST `a,b` or `[\"a\", \"b\"]`; VALUE any of the forms that the text names, lists and objects as JSON.\n\n"
          "| verb | |\n| --- | --- |\n",
          out);
    for (size_t i = 0; i < lf_n_verbs; i++) fprintf(out, "| `%s` | %s |\n", lf_verbs[i].name, lf_verbs[i].summary);
    const char *folder = "";
    for (size_t i = 0; i < lf_n_keys; i++) {
        if (strcmp(folder, lf_keys[i].folder) != 0)
            fprintf(out,
                    "\n## %s\n\n| key | type | default | range or choices | also | verbs | meaning |\n"
                    "| --- | --- | --- | --- | --- | --- | --- |\n",
                    lf_folder_title(lf_keys[i].folder));
        folder = lf_keys[i].folder;
        markdown_row(out, &lf_keys[i]);
    }
}

void lf_config_help(FILE *out, const char *verb, bool all) {
    const lf_verb *v = verb ? lf_verb_find(verb) : NULL;
    if (v)
        verb_help(out, v, all);
    else if (!verb)
        markdown(out);
}
