/* The program: a table of verbs over the library, nothing else. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lora_ft.h"
#include "signals.h"
#include "world.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

typedef lf_status verb_function(const lf_config *cfg, FILE *out, lf_err *err);
typedef struct verb {
    const char *name, *aliases; /* "x|y" */
    verb_function *run, *then;  /* then: with the same configuration, where `run` went well; may be NULL */
} verb;

static const verb verbs[] = {
#define VERB(name, keys, shares, aliases, then, summary) {#name, aliases, lf_##name, then},
    LF_VERB_LIST(VERB)
#undef VERB
};
enum { N_VERBS = sizeof verbs / sizeof *verbs };

static const char shared_verbs[] = "train|eval"; /* which several processes can do together */

/* Whether `name` is one of "x|y|z". */
static bool is_among(const char *names, const char *name) {
    const size_t n = strlen(name);
    for (const char *one = names; *one; one += *one == '|') {
        const size_t length = strcspn(one, "|");
        if (length == n && memcmp(one, name, n) == 0) return true;
        one += length;
    }
    return false;
}

static const verb *find_verb(const char *name) {
    for (int i = 0; i < N_VERBS; i++)
        if (strcmp(name, verbs[i].name) == 0 || is_among(verbs[i].aliases, name)) return &verbs[i];
    return NULL;
}

static void print_usage(FILE *out) {
    fputs("lora-ft: fine-tune a pretrained transformer from any block of singular components, and measure what it "
          "forgot\n\n"
          "Usage: lora-ft VERB [FILE] [--config FILE] [--key value | --key=value | key=value | --flag]...\n\n",
          out);
    for (int i = 0; i < N_VERBS; i++) fprintf(out, "  %-10s %s\n", verbs[i].name, lf_verb_summary(verbs[i].name));
    fputs("  version    print the version\n"
          "  help       this text; help VERB: the keys of a verb; help KEY: one of them, or what an option of another "
          "tool\n"
          "             is here; help --markdown: all keys as Markdown; help --man [VERB]: a manual\n"
          "             page; help --completion bash|zsh\n\n"
          "lora-ft VERB --help lists the keys of a verb.\n",
          out);
}

static int say_usage(const char *line) {
    lf_say(line);
    return EXIT_USAGE;
}

/* Verbs of other tools that are keys of a verb here. */
static const struct {
    const char *theirs, *ours;
} elsewhere[] = {{"chat", "lora-ft generate --chat"}, {"lora", "lora-ft train"}};

static int unknown_verb(const char *name) {
    char line[512];
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++) {
        if (strcmp(name, elsewhere[i].theirs) != 0) continue;
        snprintf(line, sizeof line, "lora-ft: there is no verb '%s'; it is `%s` here", name, elsewhere[i].ours);
        return say_usage(line);
    }
    size_t n = (size_t)snprintf(line, sizeof line, "lora-ft: there is no verb '%.64s'; expected one of", name);
    for (int i = 0; i < N_VERBS && n < sizeof line; i++)
        n += (size_t)snprintf(line + n, sizeof line - n, " %s,", verbs[i].name);
    if (n < sizeof line) snprintf(line + n, sizeof line - n, " version, help");
    return say_usage(line);
}

/* Of `help NAME`. */
static int unknown_name(const char *name) {
    lf_err err = {0};
    char line[sizeof err.message + 32];
    lf_config_unknown_name(name, &err);
    snprintf(line, sizeof line, "lora-ft help: %s", err.message);
    return say_usage(line);
}

/* ---- running ------------------------------------------------------------------------------------------------- */

/* Results that did not reach their reader are a failure: a full disk shows only here. After another failure, which was
 * told, it is not told. */
static int finish_output(int code) {
    if ((fflush(stdout) == 0 && !ferror(stdout)) || code) return code;
    fprintf(stderr, "lora-ft: cannot write to standard output: %s\n", strerror(errno));
    return EXIT_FAILED;
}

static void say_failure(const verb *v, const lf_transport *t, const lf_err *err) {
    char whose[300] = "";
    if (t && t->rank) snprintf(whose, sizeof whose, "rank %d (%s): ", t->rank, t->host(t->rank));
    char line[sizeof err->message + 400];
    snprintf(line, sizeof line, "lora-ft %s: %s%s", v->name, whose,
             err->message[0] ? err->message : lf_status_text(err->status));
    lf_say(line);
}

/* Takes --print-config out of argv. */
static bool take_print_config(int *argc, char **argv) {
    int kept = 0;
    for (int i = 0; i < *argc; i++)
        if (strcmp(argv[i], "--print-config") != 0 && strcmp(argv[i], "--print_config") != 0) argv[kept++] = argv[i];
    const bool found = kept < *argc;
    *argc = kept;
    return found;
}

/* Where a standard stream is closed, the next file that is opened takes its number, and what is said to the user would
 * be written into that file. A closed stdout still fails: it is opened for reading. */
static void reserve_standard_streams(void) {
    static const int modes[] = {O_RDONLY, O_RDONLY, O_WRONLY};
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0) (void)!open("/dev/null", modes[fd]);
}

static lf_status fail(lf_err *err, lf_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return err->status = status;
}

/* Rank 0's results are those that are read. */
static FILE *results_of(const lf_transport *t) { return t && t->rank ? fopen("/dev/null", "w") : stdout; }

static lf_status run_shared(const verb *v, const lf_config *cfg, const lf_transport *t, lf_err *err) {
    if (t && t->size > 1 && !is_among(shared_verbs, v->name))
        return fail(err, LF_EUSAGE,
                    "%s runs in one process alone, and there are %d; start it without mpirun (several "
                    "do train and eval together)",
                    v->name, t->size);
    FILE *out = results_of(t);
    if (!out) return fail(err, LF_EIO, "cannot open /dev/null: %s", strerror(errno));
    lf_world_join(t);
    lf_status rc = t && t->rank ? LF_OK : lf_config_check_outputs(cfg, err);
    if (!rc) rc = v->run(cfg, out, err);
    if (out != stdout) fclose(out);
    return rc;
}

/* A verb's threads are its first, or those of what brings its processes together: nothing before starts one. A failure
 * that all ranks know is told by the first. */
static lf_status run_under_signals(const verb *v, const lf_config *cfg, lf_err *err) {
    const lf_transport *t = NULL;
    const int failure = lf_signals_take();
    if (failure) return fail(err, LF_EFAIL, "no thread for the signals: %s", strerror(failure));
    lf_status rc = lf_world_begin(&t, err);
    const bool first = !t || t->rank == 0;
    if (!rc) rc = run_shared(v, cfg, t, err);
    const bool alone = rc && !lf_world_agreed();
    if (rc && (first || alone)) say_failure(v, t, err);
    lf_world_end(alone, lf_status_exit_code(rc));
    if (rc || !first || !v->then) return rc;
    if ((rc = v->then(cfg, stdout, err))) say_failure(v, NULL, err);
    return rc;
}

/* --help all, help VERB all */
static bool asks_for_all(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "all") == 0 || strcmp(argv[i], "--all") == 0) return true;
    return false;
}

static int run_verb(const verb *v, int argc, char **argv) {
    lf_config *cfg = NULL;
    lf_err err = {0};
    bool help = false, said = false;
    const bool print_config = take_print_config(&argc, argv);
    lf_status rc;
    if ((rc = lf_config_new(&cfg, v->name, &err)) || (rc = lf_config_parse_args(cfg, argc, argv, &help, &err)))
        goto out;
    if (help) {
        lf_config_help(stdout, v->name, asks_for_all(argc, argv));
        goto out;
    }
    if ((rc = lf_config_finish(cfg, &err))) goto out;
    if (print_config) {
        lf_config_print(cfg, stdout);
        goto out;
    }
    lf_config_say_unread(cfg);
    rc = run_under_signals(v, cfg, &err);
    said = true;
out:
    lf_config_free(cfg);
    if (rc && !said) say_failure(v, NULL, &err);
    return finish_output(lf_status_exit_code(rc));
}

static int run_help(int argc, char **argv) {
    if (argc > 0 && strcmp(argv[0], "--markdown") == 0) {
        lf_config_help(stdout, NULL, true);
    } else if (argc > 0 && strcmp(argv[0], "--man") == 0) {
        if (!lf_config_manual(stdout, argc > 1 ? argv[1] : NULL)) return unknown_verb(argv[1]);
    } else if (argc > 0 && strcmp(argv[0], "--completion") == 0) {
        if (argc == 2 && lf_config_completion(stdout, argv[1])) return finish_output(0);
        fputs("lora-ft help --completion: expected bash or zsh\n", stderr);
        return EXIT_USAGE;
    } else if (argc > 0) {
        const verb *v = find_verb(argv[0]);
        if (!v && !lf_config_help_key(stdout, argv[0])) return unknown_name(argv[0]);
        if (v) lf_config_help(stdout, v->name, asks_for_all(argc, argv));
    } else {
        print_usage(stdout);
    }
    return finish_output(0);
}

static bool is_one_of(const char *text, const char *a, const char *b, const char *c) {
    return strcmp(text, a) == 0 || strcmp(text, b) == 0 || strcmp(text, c) == 0;
}

static int run_version(int argc, char **argv) {
    const bool json = argc == 1 && is_one_of(argv[0], "--json", "json=true", "--json=true");
    if (argc > (json ? 1 : 0)) {
        char line[128];
        snprintf(line, sizeof line, "lora-ft version: unexpected '%.64s'; it takes nothing but --json", argv[0]);
        return say_usage(line);
    }
    printf(json ? "{\"version\": \"%s\"}\n" : "lora-ft %s\n", lf_version());
    return finish_output(0);
}

int main(int argc, char **argv) {
    reserve_standard_streams();
    lf_set_program("/proc/self/exe"); /* also after the file was replaced or removed */
    prctl(PR_SET_NAME, "lora-ft");    /* which would be called "exe" in a sweep's runs */
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (is_one_of(argv[1], "help", "--help", "-h")) return run_help(argc - 2, argv + 2);
    if (is_one_of(argv[1], "version", "--version", "-V")) return run_version(argc - 2, argv + 2);
    const verb *v = find_verb(argv[1]);
    return v ? run_verb(v, argc - 2, argv + 2) : unknown_verb(argv[1]);
}
