/* Manual pages, lora-ft(1) and one for each verb, from the tables of verbs and keys; in the macros of man(7). */
#include <string.h>

#include "config/config_internal.h"

/* Text in roff: no line of it is a request, a dash is the one that is typed, a backslash is one. */
static void put(FILE *out, const char *text) {
    bool begins = true;
    for (; *text; text++) {
        if (begins && (*text == '.' || *text == '\'')) fputs("\\&", out);
        begins = *text == '\n';
        if (*text == '-')
            fputs("\\-", out);
        else if (*text == '\\')
            fputs("\\e", out);
        else
            fputc(*text, out);
    }
}

static void heading(FILE *out, const char *page, const char *summary) {
    fprintf(out, ".TH %s 1 \"\" \"lora\\-ft %s\" \"User Commands\"\n.SH NAME\n", page, lf_version());
    put(out, page);
    fputs(" \\- ", out);
    put(out, summary);
    fputs("\n.SH SYNOPSIS\n", out);
}

/* An item of a list, whose tag is bold. */
static void item(FILE *out, const char *tag, const char *text) {
    fputs(".TP\n.B ", out);
    put(out, tag);
    fputc('\n', out);
    put(out, text);
    fputc('\n', out);
}

/* ---- what all pages share ---- */

static void exit_status(FILE *out) {
    static const struct {
        int code;
        const char *text;
    } codes[] = {
#define CODE(name, code, text) {code, text},
        LF_STATUS_LIST(CODE)
#undef CODE
    };
    enum { CODES = sizeof codes / sizeof *codes };
    fputs(".SH EXIT STATUS\n", out);
    for (int code = 0; code <= 255; code++) {
        bool said = false;
        for (int i = 0; i < CODES; i++) {
            if (codes[i].code != code) continue;
            if (!said) fprintf(out, ".TP\n.B %d\n", code);
            put(out, said ? "; " : "");
            put(out, codes[i].text);
            said = true;
        }
        if (said) fputc('\n', out);
    }
}

static void environment(FILE *out) {
    static const char *const variables[][2] = {
        {"OMP_NUM_THREADS", "compute threads where the key threads does not say how many"},
        {"OMP_WAIT_POLICY", "passive: threads that wait do not spin, which is better where others use the machine too"},
        {"LF_KERNELS", "kernels that are to be used instead of the fastest: avx512, avx2, sse2 or ref"},
        {"TMPDIR", "where large temporary files go"},
        {"XDG_CACHE_HOME, HOME", "below them, in lora-ft, what is kept from run to run"},
        {"COLUMNS", "width of the terminal, where it is not what the terminal says"},
        {"NO_COLOR", "no colours"},
        {"SOURCE_DATE_EPOCH", "the time that is written into results"},
    };
    fputs(".SH ENVIRONMENT\n", out);
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) item(out, variables[i][0], variables[i][1]);
}

static void see_also(FILE *out, const lf_verb *page) {
    fputs(".SH SEE ALSO\n", out);
    if (page) fputs(".BR lora\\-ft (1)", out);
    for (size_t i = 0; i < lf_n_verbs; i++) {
        if (&lf_verbs[i] == page) continue;
        if (i > 0 || page) fputs(",\n", out);
        fprintf(out, ".BR lora\\-ft\\-%s (1)", lf_verbs[i].name);
    }
    fputc('\n', out);
}

/* ---- lora-ft(1) ---- */

static void of_program(FILE *out) {
    heading(out, "lora-ft",
            "fine-tune a pretrained transformer from any block of singular components, and measure what it forgot");
    fputs(".B lora\\-ft\n.I VERB\n.RI [ FILE ]\n[\\fB\\-\\-\\fIkey value\\fR]...\n.SH DESCRIPTION\n", out);
    put(out,
        "Takes a pretrained Hugging Face transformer, starts a LoRA adapter from a chosen block of singular components "
        "of "
        "each frozen weight, trains it, and reports what was learned and what was forgotten. Adapters and models are "
        "read and written in the formats of PEFT and transformers.\n");
    fputs(".PP\n", out);
    put(out,
        "FILE is a configuration: a JSON object of keys, with comments, or the same in YAML. Flags win over files. "
        "'lora-ft help KEY' says what a key is, or what an option of another tool is here; --print-config shows the "
        "resolved configuration and stops.\n");
    fputs(".SH VERBS\n", out);
    for (size_t i = 0; i < lf_n_verbs; i++) item(out, lf_verbs[i].name, lf_verbs[i].summary);
    item(out, "version", "print the version");
    item(out, "help",
         "a list of the verbs; help VERB: its keys; help KEY: one of them; help --markdown, --man [VERB], "
         "--completion bash|zsh: all keys, a manual page, a completion");
    exit_status(out);
    environment(out);
    see_also(out, NULL);
}

/* ---- lora-ft-VERB(1) ---- */

static void option(FILE *out, const lf_key *key) {
    char range[512];
    lf_key_range_text(key, range, sizeof range);
    fputs(".TP\n.BI ", out);
    put(out, "--");
    put(out, key->name);
    fprintf(out, " \" %s\"\n", lf_key_type_shown[key->type]);
    put(out, key->help);
    fputs("\n.br\n", out);
    put(out, lf_key_default(key) ? "Default " : "No default");
    put(out, lf_key_default(key) ? lf_key_default(key) : "");
    put(out, *range ? "; " : "");
    put(out, range);
    const char *aliases = key->aliases, *before = "; also ";
    for (lf_slice alias; lf_next_item(&aliases, &alias); before = ", ") {
        char name[96];
        snprintf(name, sizeof name, "%s%s%.*s", before, alias.length > 1 ? "--" : "-", alias.length, alias.start);
        put(out, name);
    }
    fputs(".\n", out);
}

static void of_verb(FILE *out, const lf_verb *verb) {
    char page[64];
    snprintf(page, sizeof page, "lora-ft-%s", verb->name);
    heading(out, page, verb->summary);
    fprintf(out, ".B lora\\-ft %s\n.RI [ FILE ]\n[\\fB\\-\\-\\fIkey value\\fR]...\n.SH OPTIONS\n", verb->name);
    put(out, "Any of them can stand in FILE, without its dashes. Dashes and underscores are the same in names.\n");
    const char *folder = "";
    for (size_t i = 0; i < lf_n_keys; i++) {
        if (!(lf_keys[i].verbs & verb->knows)) continue;
        if (strcmp(folder, lf_keys[i].folder) != 0) fprintf(out, ".SS %s\n", lf_folder_title(lf_keys[i].folder));
        folder = lf_keys[i].folder;
        option(out, &lf_keys[i]);
    }
    exit_status(out);
    see_also(out, verb);
}

bool lf_config_manual(FILE *out, const char *verb) {
    const lf_verb *v = verb ? lf_verb_find(verb) : NULL;
    if (verb && !v) return false;
    if (v)
        of_verb(out, v);
    else
        of_program(out);
    return true;
}
