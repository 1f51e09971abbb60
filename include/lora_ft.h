/* lora-ft: fine-tune a pretrained transformer with LoRA adapters that start from any block of singular components,
 * and measure what was learned and what was forgotten.
 *
 * This is the whole public API: a status and error type, a configuration, and one function a verb. Every verb takes
 * a configuration that was made for it and a stream for its results; progress and messages go to stderr.
 */
#ifndef LORA_FT_H
#define LORA_FT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* name, exit code of the program, text */
#define LF_STATUS_LIST(X)                                                                                              \
    X(LF_OK, 0, "done")                                                                                                \
    X(LF_EFAIL, 1, "failed")                                                                                           \
    X(LF_ENOMEM, 1, "out of memory")                                                                                   \
    X(LF_EIO, 1, "input or output failed")                                                                             \
    X(LF_EUSAGE, 2, "bad usage or configuration")                                                                      \
    X(LF_EDATA, 3, "bad data or model file")                                                                           \
    X(LF_ENOTFOUND, 3, "no such file or folder")                                                                       \
    X(LF_ESHAPE, 3, "shapes do not fit")                                                                               \
    X(LF_EUNSUPPORTED, 3, "not supported")                                                                             \
    X(LF_ENUMERIC, 1, "a numerical method failed")                                                                     \
    X(LF_EDIVERGED, 4, "training diverged")                                                                            \
    X(LF_EINTERRUPTED, 130, "interrupted")

typedef enum lf_status {
#define LF_STATUS_ENUM(name, code, text) name,
    LF_STATUS_LIST(LF_STATUS_ENUM)
#undef LF_STATUS_ENUM
} lf_status;

/* One line: the file, the key or tensor, what was expected, what was found, what to try. Filled by whoever fails
 * first; callers pass it up unchanged. */
typedef struct lf_err {
    lf_status status;
    char message[1024];
} lf_err;

const char *lf_status_text(lf_status status);
int lf_status_exit_code(lf_status status);
const char *lf_version(void); /* "0.1.0" */

/* ---- verbs -----------------------------------------------------------------------------------------------------
 * The one table of them, a line each. The library makes of it the functions below and the sets of keys, the program its
 * usage and the names it answers to.
 *
 *   X(name, KEYS, shares, aliases, then, summary)
 *
 *   name     the verb; its function is lf_<name>
 *   KEYS     what the tables of keys call it, where a line says which verbs know a key
 *   shares   the verb whose keys it knows beside its own; itself, where there is none
 *   aliases  other names on the command line, "x|y"; "" for none
 *   then     what the program runs after it, with the same configuration; NULL for nothing
 *   summary  one line for help */
#define LF_VERB_LIST(X)                                                                                                \
    X(train, TRAIN, train, "", lf_report_run, "fine-tune a model and measure what it learned and what it forgot")      \
    X(eval, EVAL, eval, "evaluate", NULL, "accuracy of a model or adapter on a data set, and forgetting on another")   \
    X(rewind, REWIND, eval, "", NULL,                                                                                  \
      "an adapter at sizes from nothing to beyond itself: what each has learned and forgotten, and the one to keep")   \
    X(predict, PREDICT, predict, "", NULL, "classify inputs without labels")                                           \
    X(merge, MERGE, merge, "fuse|export", NULL, "write the model with an adapter merged into its weights")             \
    X(convert, CONVERT, convert, "", NULL, "write an adapter with a smaller rank, or for llama.cpp and ollama")        \
    X(bench, BENCH, bench, "", NULL, "measure training and inference speed, initialisation time and memory")           \
    X(inspect, INSPECT, inspect, "", NULL, "say what files and folders are; show what is in a model or adapter")       \
    X(verify, VERIFY, verify, "", NULL, "whether adapters, runs, checkpoints and models are whole")                    \
    X(report, REPORT, report, "", NULL,                                                                                \
      "draw a run, or compare the runs below a folder: pictures, tables, report.html")                                 \
    X(preview, PREVIEW, train, "", NULL, "show the training data as the model will see them, and count them")          \
    X(generate, GENERATE, generate, "", NULL, "write text after a prompt, or hold a conversation")                     \
    X(spectrum, SPECTRUM, spectrum, "", NULL, "singular values of the weights, and what an adapter does to them")      \
    X(continual, CONTINUAL, train, "", NULL,                                                                           \
      "train task after task, and measure what each brings and takes from those before")                               \
    X(sweep, SWEEP, train, "", NULL,                                                                                   \
      "train one model many times, with other learning rates, positions or seeds, and compare")

/* ---- configuration ---------------------------------------------------------------------------------------------
 * A set of typed values, made for one verb from the table of keys (`lora-ft VERB --help` prints it). Later calls
 * win over earlier ones. Dashes and underscores are the same in names. */
typedef struct lf_config lf_config;

/* LF_EUSAGE if there is no such verb. The caller frees *out. */
lf_status lf_config_new(lf_config **out, const char *verb, lf_err *err);
void lf_config_free(lf_config *cfg);
/* A JSON object with comments, or YAML (.yaml, .yml). Unknown key, wrong type or range: LF_EUSAGE naming file, key and
 * the nearest key. */
lf_status lf_config_load(lf_config *cfg, const char *path, lf_err *err);
/* One key from text, as on the command line. Lists are comma separated or JSON. */
lf_status lf_config_set(lf_config *cfg, const char *key, const char *text, lf_err *err);
/* argv after the verb: [FILE] [--config FILE] [--key value | --key=value | key=value | --flag]...
 * Files are loaded first, flags win; of a flag that is given twice the last one counts, and a list is both together.
 * Sets *help when --help is among them. */
lf_status lf_config_parse_args(lf_config *cfg, int argc, char **argv, bool *help, lf_err *err);
/* Cross-key checks and required keys. Call once after the last set. */
lf_status lf_config_finish(lf_config *cfg, lf_err *err);
/* Warns of each key that was given and is not read, because of another key's value. */
void lf_config_say_unread(const lf_config *cfg);
/* LF_EUSAGE, naming the key, where a file or folder that is to be written cannot be; leaves nothing behind. */
lf_status lf_config_check_outputs(const lf_config *cfg, lf_err *err);
/* One line saying what a verb does; NULL if there is no such verb. */
const char *lf_verb_summary(const char *verb);
/* Help text of one verb (keys, types, defaults, ranges; of a verb with many keys the usual ones, unless `all`) or, verb
 * NULL, the Markdown of docs/config.md. */
void lf_config_help(FILE *out, const char *verb, bool all);
/* Help text of a key by name or alias, or of an option of another tool that is known: what it is here. false: it is
 * neither, and nothing is written. */
bool lf_config_help_key(FILE *out, const char *name);
/* LF_EUSAGE, of a name that is neither a verb nor one of these: with the nearest that is. */
lf_status lf_config_unknown_name(const char *name, lf_err *err);
/* The manual page of a verb, or of the program (verb NULL), in the macros of man(7). false: there is no such verb. */
bool lf_config_manual(FILE *out, const char *verb);
/* Completions of verbs, keys and values for a shell, "bash" or "zsh". false: for another there is none. */
bool lf_config_completion(FILE *out, const char *shell);
void lf_config_print(const lf_config *cfg, FILE *out); /* the resolved configuration as JSON */

/* ---- running a verb --------------------------------------------------------------------------------------------
 * lf_train, lf_eval and so on, one function a verb. Each returns LF_OK or fills err. Results go to `out`: a table, or
 * exactly one JSON object when the key `json` is true; of lf_generate, text as it is written. Ctrl-C (see lf_interrupt)
 * makes a training run save a checkpoint and return LF_EINTERRUPTED. lf_sweep runs `train` many times, each a process
 * of this program (/proc/self/exe). */
#define LF_VERB_FUNCTION(name, ...) lf_status lf_##name(const lf_config *cfg, FILE *out, lf_err *err);
LF_VERB_LIST(LF_VERB_FUNCTION)
#undef LF_VERB_FUNCTION
/* What follows a finished lf_train, with its configuration: the pictures and the page of its output_dir. */
lf_status lf_report_run(const lf_config *cfg, FILE *out, lf_err *err);

/* A line on standard error, as the library's own messages are: on a terminal, broken between words where that is
 * narrower. */
void lf_say(const char *line);

/* Async-signal-safe. lf_interrupt asks the running verb to stop at the next step; a conversation ends its answer, and
 * ends itself where it waits for the user. lf_terminate asks it to end in either case. False if the verb was asked
 * before and has not done it: a caller may then end the process. lf_checkpoint_request asks a training run to write a
 * checkpoint after the step it is at, and to go on; a sweep asks the runs that are at work (SIGUSR1).
 *
 * lf_ends_at_once: the verb was asked to end, has not, and nothing would be lost with it: no step of training is done,
 * no file half written, no conversation held.
 *
 * lf_mapped_file: the path of the file that the library has mapped at an address, NULL where that is none, for a
 * handler of SIGBUS: a mapped file that somebody cuts short cannot be read any more, and the work on it cannot go on.
 *
 * The library installs no handler and blocks no signal. On processors with AVX-512, a handler that runs in a thread
 * that computes must have SA_ONSTACK, since oneDNN's code keeps no stack there; the library's threads have an alternate
 * stack, and the one that calls it gets one, if it has none. Better, block signals in all threads and wait for them in
 * one of your own (src/cli/signals.c). */
bool lf_interrupt(void);
bool lf_terminate(void);
bool lf_ends_at_once(void);
void lf_checkpoint_request(void);
const char *lf_mapped_file(const void *address);

/* ---- several processes that do one verb -------------------------------------------------------------------------
 * lf_train and lf_eval can share their work out over processes that were started together, on one machine or many
 * ("ranks", docs/cluster.md). How these reach each other is the caller's: lf_world_join takes a table of functions
 * before the verb is run, on every rank, with the same configuration. Without it, or with a size of 1, a process is
 * alone. Rank 0 alone writes files and results; the `out` of the others gets what is of no use to anybody. */
typedef struct lf_under_way {
    int sends, receives; /* how many are not through yet */
} lf_under_way;

typedef struct lf_transport {
    int rank, size;
    const char *(*host)(int rank); /* the name of its machine */
    /* Each begins something, and `data` are its own until it is through: bytes to a rank; those that a rank sends, of
     * which the sizes agree and the order is kept; the bytes of rank `from` to all others (a receive, on every rank).
     */
    lf_status (*send)(int to, const void *data, size_t bytes, lf_err *err);
    lf_status (*receive)(int from, void *data, size_t bytes, lf_err *err);
    lf_status (*share)(int from, void *data, size_t bytes, lf_err *err);
    /* Moves on what was begun, without waiting. */
    lf_status (*advance)(lf_under_way *left, lf_err *err);
} lf_transport;

void lf_world_join(const lf_transport *t); /* kept; NULL: alone */
/* After a failure: does every rank return it? Else the others wait for this one, and are to be ended. */
bool lf_world_agreed(void);

#ifdef __cplusplus
}
#endif
#endif
