/* lora-ft: fine-tune a pretrained transformer with LoRA adapters that start from any block of singular components,
 * and measure what was learned and what was forgotten.
 *
 * This is the whole public API, and what liblora_ft.so exports: a status and error type, a configuration, one function
 * a verb, and, for programs, a model that is kept open, training that is watched, and results as numbers
 * (docs/library.md has whole programs).
 *
 * The state of the library is the process's: how much is said and to whom, what was asked by a signal, the number of
 * threads that compute. So one thread at a time may call it. At any time, from any thread and from a signal handler:
 * lf_interrupt, lf_terminate, lf_interrupt_say, lf_checkpoint_request, lf_ends_at_once, lf_mapped_file. A function that
 * the library calls (lf_watch, lf_visit, lf_log_sink) may call those, and nothing else of it.
 *
 * What is lent to the library (a pointer to const) is read while the call lasts, unless it says "kept". What it hands
 * out as T **out is the caller's to free by the function that is named; all else is borrowed from what it was asked of.
 */
#ifndef LORA_FT_H
#define LORA_FT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __GNUC__
#pragma GCC visibility push(default) /* what is declared here is exported, and nothing else */
#endif
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

/* One line: the file, the key or tensor, what was expected, what was found, what to try. Zeros before a call: what it
 * holds already is kept, so that whoever fails first is heard. */
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
 * of the program that lf_set_program names. */
#define LF_VERB_FUNCTION(name, ...) lf_status lf_##name(const lf_config *cfg, FILE *out, lf_err *err);
LF_VERB_LIST(LF_VERB_FUNCTION)
#undef LF_VERB_FUNCTION
/* What follows a finished lf_train, with its configuration: the pictures and the page of its output_dir. */
lf_status lf_report_run(const lf_config *cfg, FILE *out, lf_err *err);

/* The program whose processes lf_sweep starts: one that is called as lora-ft is (`PATH train --config FILE`). Kept; a
 * path, which "/proc/self/exe" is for lora-ft itself. Without one, and at first, lf_sweep is LF_EUSAGE. */
void lf_set_program(const char *path);

/* ---- numbers ---------------------------------------------------------------------------------------------------
 */

typedef struct lf_number {
    const char *name; /* as in all_results.json and metrics.jsonl: "eval_accuracy" */
    double value;     /* NAN: not measured */
} lf_number;

/* The value of that name, NAN if there is none. */
double lf_number_named(const lf_number *numbers, int64_t n, const char *name);

/* What a verb found. What stands in an object of its own has its name before a dot: "start.position_first". */
typedef struct lf_figures {
    int64_t n;
    const lf_number *at; /* [n] */
} lf_figures;
void lf_figures_free(lf_figures *f);

/* ---- training, watched -----------------------------------------------------------------------------------------
 */

/* Where a run is. `row` is a line of metrics.jsonl, of each logging_steps steps or of an evaluation: which of the two,
 * its names tell ("loss", "eval_loss"). n_row 0: a step was done, and this is all. */
typedef struct lf_moment {
    int64_t step, max_steps;    /* steps done; 0: before the first */
    double epoch;               /* of the training data, done */
    double loss, learning_rate; /* of this step; NAN before the first */
    const lf_number *row;       /* [n_row] until the call returns */
    int64_t n_row;
} lf_moment;

/* After each step, then once more for each row, in the thread that called lf_train_watched. False: end the run, as
 * lf_interrupt does: with a checkpoint after this step (before the first one: after that), and LF_EINTERRUPTED. After
 * the last step there is nothing to end: the run goes on to its results. */
typedef bool lf_watch(void *context, const lf_moment *m);

/* lf_train of a configuration of `train`, which writes what that writes, and no table. watch: NULL: nobody.
 * *figures: what all_results.json has, also of a run that was finished before and is left as it is; figures NULL: not
 * wanted. With `dry_run` they are what that finds. On failure *figures is NULL. */
lf_status lf_train_watched(const lf_config *cfg, lf_watch *watch, void *context, lf_figures **figures, lf_err *err);
/* lf_eval of a configuration of `eval`, its results as numbers. */
lf_status lf_eval_figures(const lf_config *cfg, lf_figures **figures, lf_err *err);

/* ---- a model that is kept open ---------------------------------------------------------------------------------
 * Opened once by a configuration of `predict`, `eval` or `generate`, whose keys say what they say there (model,
 * adapter, precision, threads, max_seq_length, per_device_eval_batch_size, ...; a key that the verb does not have is at
 * its default), and then asked as often as one likes. What goes in is given here, so data, prompt, chat and system and
 * where results go are not read. Numbers are those of the verb, to the last digit, for the same inputs in the same
 * order. Nothing is printed but warnings and, at opening, what the verbs say there.
 *
 * lf_interrupt ends a call with LF_EINTERRUPTED, or the next one if none is made; the one after that begins anew. */

typedef struct lf_session lf_session;
/* cfg is kept: it outlives the session, and is finished (lf_config_finish). */
lf_status lf_session_open(lf_session **out, const lf_config *cfg, lf_err *err);
void lf_session_close(lf_session *s); /* NULL is nothing */

/* What the scores of a classifier are: of a class the probability that it is this one among all (they sum to 1); the
 * probability that it holds, each by itself; a number that was learned. */
typedef enum lf_problem { LF_SINGLE_LABEL, LF_MULTI_LABEL, LF_REGRESSION, LF_N_PROBLEMS } lf_problem;
/* The names of its labels; *n 0 and NULL: it does not classify. problem may be NULL. */
const char *const *lf_session_labels(const lf_session *s, int64_t *n, lf_problem *problem);
bool lf_session_takes_pictures(const lf_session *s); /* else texts */
bool lf_session_writes(const lf_session *s);         /* text can be scored and generated */

/* UTF-8, ended by a NUL. */
typedef struct lf_text {
    const char *text;
    const char *second; /* of a pair that is classified, its second text; of a text that is scored, what is scored,
                         * behind `text`, which is not. NULL: there is none, of all texts of a call or of none */
} lf_text;

/* scores [n, labels]: a row of an input is in the order of lf_session_labels. A picture that cannot be read is an
 * error, unless skip_bad_images leaves it out: then its row is NAN. LF_EUNSUPPORTED where the model does not classify,
 * or not this. */
lf_status lf_session_classify_texts(lf_session *s, const lf_text *texts, int64_t n, float *scores, lf_err *err);
lf_status lf_session_classify_pictures(lf_session *s, const char *const *paths, int64_t n, float *scores, lf_err *err);

/* What a language model makes of a text. Its log-likelihood is -loss * tokens, in nats, its perplexity exp(loss). */
typedef struct lf_text_score {
    int64_t tokens; /* that were predicted: those that another stands before; of a pair those of `second` */
    int64_t right;  /* of them those that the model held for the most probable */
    double loss;    /* the mean of -ln p over them; NAN: there are none */
} lf_text_score;

/* scores [n], of each text; all: of all tokens together; either may be NULL. Texts longer than max_seq_length are cut,
 * as `eval` does it, with a warning. LF_EDATA if there is no token to predict in any. */
lf_status lf_session_score(lf_session *s, const lf_text *texts, int64_t n, lf_text_score *scores, lf_text_score *all,
                           lf_err *err);

/* What was written behind a prompt. */
typedef struct lf_written {
    char *text; /* with a NUL behind it */
    size_t n;
    int32_t *ids; /* [n_ids] the tokens, with the one that ended it */
    int64_t n_ids, prompt_tokens;
    const char *ended_by;           /* "eos", "stop", "length", "context" or "interrupt" */
    double prompt_seconds, seconds; /* of reading the prompt, and of writing */
} lf_written;
void lf_written_free(lf_written *w); /* what is in it */

/* n bytes of text as soon as they are certain, whole characters only. False: enough. */
typedef bool lf_visit(void *context, const char *text, size_t n);

/* What the model writes behind a prompt: by temperature, top_k, top_p, seed, max_new_tokens, stop and their like. visit
 * may be NULL. Where it was interrupted, or `visit` had enough, LF_EINTERRUPTED, and *out is what was written; after
 * other failures it is empty. */
lf_status lf_session_generate(lf_session *s, const char *prompt, lf_visit *visit, void *context, lf_written *out,
                              lf_err *err);

/* What somebody says in a conversation. */
typedef struct lf_turn {
    const char *role; /* "system", "user", "assistant", or what else the chat template knows */
    const char *content;
} lf_turn;
/* What the assistant says next, by the chat template. Turns that were given before are not read again. */
lf_status lf_session_answer(lf_session *s, const lf_turn *turns, int64_t n, lf_visit *visit, void *context,
                            lf_written *out, lf_err *err);

/* ---- messages --------------------------------------------------------------------------------------------------
 * Messages and progress go to standard error, one line each. `quiet` and `verbose` of a configuration set the level
 * when it is finished. */

/* WARN: --quiet; DETAIL: --verbose, with the time in front of each line. */
typedef enum lf_log_level { LF_LOG_QUIET, LF_LOG_WARN, LF_LOG_INFO, LF_LOG_DETAIL } lf_log_level;
lf_log_level lf_log_set_level(lf_log_level level); /* at first LF_LOG_INFO; returns what it was */

/* A line of that level, or of one below it, without a newline. One at a time, from whichever thread has something to
 * say; it must not wait for another thread. */
typedef void lf_log_sink(void *context, lf_log_level level, const char *line);
/* All lines go to sink from now on, progress at most every ten seconds, and nothing is written to standard error (but
 * by gnuplot, which is a process of its own). NULL: as at first. */
void lf_log_divert(lf_log_sink *sink, void *context);

/* A line as the library's own messages are, at any level: on a terminal, broken between words where that is narrower.
 */
void lf_say(const char *line);

/* ---- asking to stop --------------------------------------------------------------------------------------------
 */

/* Async-signal-safe, all but lf_interrupt_say. lf_interrupt asks the running verb to stop at the next step; a
 * conversation ends its answer, and ends itself where it waits for the user. lf_terminate asks it to end in either
 * case. False if the verb was asked before and has not done it: a caller may then end the process.
 * lf_checkpoint_request asks a training run to write a checkpoint after the step it is at, and to go on; a sweep asks
 * the runs that are at work (SIGUSR1).
 *
 * lf_interrupt_say, before one of the two: says on standard error, in a line, at once, what an interruption does to the
 * verb that runs, where that does not end at once: a run of training ends after its step, with a checkpoint. Said once,
 * never waited for, and nothing where lines go to a lf_log_sink. For a thread that waits for signals, not for a
 * handler: it looks for the lock of standard error.
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
void lf_interrupt_say(void);
/* As if lf_interrupt had not been called: before another verb is run (lf_terminate stays). What is watched, and a
 * session, do it themselves. */
void lf_interrupt_reset(void);
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
#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif
