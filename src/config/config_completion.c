/* Completions for shells, from the tables of verbs and keys: verbs, the keys of a verb, the choices of a key, paths. */
#include <string.h>

#include "config/config_internal.h"

/* Words that complete a key's value; "" for none that are known, "path" for files. */
static void words_of(const lf_key *key, char *out, size_t size) {
    out[0] = '\0';
    if (key->type == LF_KEY_BOOL) {
        snprintf(out, size, "true false");
        return;
    }
    if (!key->choices) return;
    lf_choices_text(key->choices, out, size);
    for (char *comma = strchr(out, ','); comma; comma = strchr(comma, ',')) memmove(comma, comma + 1, strlen(comma));
}

static bool takes_path(const lf_key *key) {
    return key->type == LF_KEY_PATH || (key->traits & (LF_IS_INPUT | LF_IS_OUTPUT));
}

/* The key's name, then each alias that is a word; *at NULL begins. */
static bool next_name(const lf_key *key, const char **at, lf_slice *name) {
    if (!*at) {
        *at = key->aliases ? key->aliases : "";
        *name = (lf_slice){key->name, (int)strlen(key->name)};
        return true;
    }
    while (lf_next_item(at, name))
        if (name->length > 1) return true;
    return false;
}

/* ---- bash ---- */

/* "    --key|--alias) ..." */
static void bash_values(FILE *out) {
    char words[512];
    fputs("    case $key in\n    --config) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "
          "\"$cur\"); "
          "return ;;\n",
          out);
    for (size_t i = 0; i < lf_n_keys; i++) {
        words_of(&lf_keys[i], words, sizeof words);
        if (!*words && !takes_path(&lf_keys[i])) continue;
        const char *at = NULL, *before = "    --";
        for (lf_slice name; next_name(&lf_keys[i], &at, &name); before = "|--")
            fprintf(out, "%s%.*s", before, name.length, name.start);
        if (*words)
            fprintf(out, ") COMPREPLY=($(compgen -W '%s' -- \"$cur\")) ;;\n", words);
        else
            fputs(") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n", out);
    }
    fputs("    esac\n", out);
}

static void bash_keys(FILE *out) {
    fputs("    case $verb in\n", out);
    for (size_t i = 0; i < lf_n_verbs; i++) {
        fprintf(out, "    %s) keys='--config --help --print-config", lf_verbs[i].name);
        for (size_t k = 0; k < lf_n_keys; k++)
            if (lf_keys[k].verbs & lf_verbs[i].knows) fprintf(out, " --%s", lf_keys[k].name);
        fputs("' ;;\n", out);
    }
    fputs("    esac\n", out);
}

/* A verb where none stands yet; behind a key its values; else keys, or a configuration file. */
static void bash(FILE *out) {
    fputs("# bash completion for lora-ft; made by `lora-ft help --completion bash`\n"
          "_lora_ft() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} key= keys=\n"
          "    COMPREPLY=()\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "        COMPREPLY=($(compgen -W '",
          out);
    for (size_t i = 0; i < lf_n_verbs; i++) fprintf(out, "%s ", lf_verbs[i].name);
    fputs("help version' -- \"$cur\"))\n"
          "        return\n"
          "    fi\n"
          "    # --key=value comes as three words\n"
          "    if [ \"$cur\" = = ]; then cur= key=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    elif [ \"${COMP_WORDS[COMP_CWORD-1]}\" = = ]; then key=${COMP_WORDS[COMP_CWORD-2]}\n"
          "    else key=${COMP_WORDS[COMP_CWORD-1]}; fi\n"
          "    case $key in --*) key=--${key#--}; key=--$(printf %s \"${key#--}\" | tr - _) ;; *) key= ;; esac\n",
          out);
    bash_values(out);
    fputs("    [ ${#COMPREPLY[@]} -eq 0 ] || return 0\n", out);
    bash_keys(out);
    fputs("    case $cur in\n"
          "    -*) COMPREPLY=($(compgen -W \"$keys\" -- \"$cur\"))\n"
          "        [ ${#COMPREPLY[@]} -gt 0 ] || {\n"
          "            cur=--$(printf %s \"${cur#--}\" | tr - _)\n"
          "            COMPREPLY=($(compgen -W \"$keys\" -- \"$cur\"))\n"
          "        } ;;\n"
          "    *) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
          "    esac\n"
          "}\n"
          "complete -F _lora_ft lora-ft\n",
          out);
}

/* ---- zsh ---- */

/* In single quotes, within brackets, where a colon and a bracket would mean something. */
static void zsh_text(FILE *out, const char *text) {
    for (; *text; text++) {
        if (strchr("[]:\\", *text)) fputc('\\', out);
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text, out);
    }
}

static void zsh_option(FILE *out, const lf_key *key, lf_slice name) {
    char words[512];
    words_of(key, words, sizeof words);
    fprintf(out, "            '*--%.*s=[", name.length, name.start);
    zsh_text(out, key->help);
    fprintf(out, "]:%s:", key->name);
    if (*words)
        fprintf(out, "(%s)", words);
    else if (takes_path(key))
        fputs("_files", out);
    fputs("' \\\n", out);
}

static void zsh(FILE *out) {
    fputs("#compdef lora-ft\n"
          "# zsh completion for lora-ft; made by `lora-ft help --completion zsh`\n"
          "_lora_ft() {\n"
          "    local -a verbs\n"
          "    verbs=(\n",
          out);
    for (size_t i = 0; i < lf_n_verbs; i++) {
        fprintf(out, "        '%s:", lf_verbs[i].name);
        zsh_text(out, lf_verbs[i].summary);
        fputs("'\n", out);
    }
    fputs("        'help:keys and verbs' 'version:print the version'\n"
          "    )\n"
          "    if (( CURRENT == 2 )); then _describe verb verbs; return; fi\n"
          "    local verb=$words[2]\n"
          "    shift words; (( CURRENT-- ))\n"
          "    case $verb in\n",
          out);
    for (size_t i = 0; i < lf_n_verbs; i++) {
        fprintf(out, "    %s)\n        _arguments -s \\\n", lf_verbs[i].name);
        for (size_t k = 0; k < lf_n_keys; k++) {
            const char *at = NULL;
            if (lf_keys[k].verbs & lf_verbs[i].knows)
                for (lf_slice name; next_name(&lf_keys[k], &at, &name);) zsh_option(out, &lf_keys[k], name);
        }
        fputs("            '*--config=[a file of keys]:file:_files' \\\n"
              "            '*:configuration:_files' ;;\n",
              out);
    }
    fputs("    esac\n"
          "}\n"
          "_lora_ft \"$@\"\n",
          out);
}

/* ---- ---- */

static const struct {
    const char *shell;
    void (*write)(FILE *out);
} shells[] = {{"bash", bash}, {"zsh", zsh}};

bool lf_config_completion(FILE *out, const char *shell) {
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        if (strcmp(shells[i].shell, shell) != 0) continue;
        shells[i].write(out);
        return true;
    }
    return false;
}
