/* Pictures and pages of runs: every number in its CSV, pages that hold together and ask nobody, whatever stands in the
 * files. */
#define _XOPEN_SOURCE 700
#include <sys/stat.h>

#include "report_fixture.h"

#include "base/number.h"
#include "plot/plot.h"
#include "report/figure/confusion.h"
#include "report/figure/curves.h"
#include "report/figure/figure.h"
#include "report/figure/pictures.h"
#include "report/page/report.h"

/* ---- runs ---- */

typedef struct run {
    const char *name, *init; /* its folder; where the adapter starts */
    double rate;
    int seed;
    double accuracy, kept, ratio; /* accuracy NAN: it diverged */
    const char *message;
} run;

static void put_json(const char *dir, const char *name, cJSON *o) {
    char *text = lf_json_print(o, false);
    cJSON_Delete(o);
    put_file(dir, name, text);
    lf_free(text);
}

static void put_steps(const char *dir, double accuracy, double kept, bool language) {
    char text[2000] = "";
    for (int step = 0; step <= 40; step += 10) {
        const double t = step / 40.0;
        char line[300];
        if (language)
            snprintf(line, sizeof line,
                     "{\"step\": %d, \"eval_perplexity\": %.9g, \"base_perplexity\": %.9g}\n{\"step\": %d, \"loss\": "
                     "%.9g}\n",
                     step, 40 - (40 - accuracy) * t, 20 / (1 - (1 - kept) * t), step, 3 - t);
        else
            snprintf(
                line, sizeof line,
                "{\"step\": %d, \"eval_accuracy\": %.9g, \"base_accuracy\": %.9g}\n{\"step\": %d, \"loss\": %.9g}\n",
                step, accuracy * t, 0.9 - 0.9 * (1 - kept) * t, step, 3 - t);
        strcat(text, line);
    }
    put_file(dir, "metrics.jsonl", text);
}

static cJSON *results_of(const run *r, bool language) {
    cJSON *o = cJSON_CreateObject();
    const double before = language ? 20 : 0.9, after = language ? before / r->kept : before * r->kept;
    cJSON_AddNumberToObject(o, language ? "eval_perplexity" : "eval_accuracy", r->accuracy);
    cJSON_AddNumberToObject(o, "base_before", before);
    cJSON_AddNumberToObject(o, "base_after", after);
    cJSON_AddNumberToObject(o, "forgetting", language ? log(after / before) : before - after);
    cJSON_AddNumberToObject(o, "retention", r->kept);
    cJSON_AddNumberToObject(o, "update_ratio", r->ratio);
    cJSON_AddNumberToObject(o, language ? "base_chance" : "eval_chance", language ? 1000 : 0.1);
    return o;
}

static const char *unsaid; /* a start whose runs are of an earlier version: their files say nothing of it; "": all */

static const char *const (*titles)[2]; /* of starts; NULL: they say none */

static void put_plain(cJSON *start) {
    cJSON_AddBoolToObject(start, "plain", false);
    cJSON_AddNullToObject(start, "position");
    cJSON_AddBoolToObject(start, "subtracted", false);
}

/* As the run itself says it: positions are not told from names. */
static void put_start(cJSON *o, const run *r) {
    if (unsaid && (!unsaid[0] || strcmp(unsaid, r->init) == 0)) return;
    if (titles) {
        cJSON *titled = cJSON_AddObjectToObject(o, "start");
        cJSON_AddStringToObject(titled, "name", r->init);
        for (int i = 0; titles[i][0]; i++)
            if (strcmp(titles[i][0], r->init) == 0) cJSON_AddStringToObject(titled, "title", titles[i][1]);
        if (strcmp(r->init, "kaiming") == 0) {
            put_plain(titled);
            return;
        }
        cJSON_AddBoolToObject(titled, "plain", true);
        cJSON_AddNumberToObject(titled, "position", strcmp(r->init, "intermediate") == 0 ? 0.5 : 0);
        return;
    }
    cJSON *start = cJSON_AddObjectToObject(o, "start");
    cJSON_AddStringToObject(start, "name", r->init);
    cJSON_AddBoolToObject(start, "plain", true);
    cJSON_AddNumberToObject(start, "position", strcmp(r->init, "intermediate") == 0 ? 0.5 : 0);
}

static void make_run(const char *set, const run *r, bool language) {
    char dir[300];
    snprintf(dir, sizeof dir, "%s/%s", set, r->name);
    assert_int_equal(lf_mkdir_p(dir, NULL), LF_OK);
    cJSON *config = cJSON_CreateObject();
    cJSON_AddStringToObject(config, "model", "data/model");
    cJSON_AddStringToObject(config, "output_dir", dir);
    cJSON_AddStringToObject(config, "init_lora_weights", r->init);
    cJSON_AddNumberToObject(config, "learning_rate", r->rate);
    cJSON_AddNumberToObject(config, "seed", r->seed);
    if (strcmp(r->init, "intermediate") == 0) cJSON_AddNumberToObject(config, "init_position", 0.5);
    put_json(dir, "config.json", config);
    if (isfinite(r->accuracy)) {
        cJSON *results = results_of(r, language);
        put_start(results, r);
        put_json(dir, "all_results.json", results);
        put_steps(dir, r->accuracy, r->kept, language);
        return;
    }
    cJSON *error = cJSON_CreateObject();
    cJSON_AddNumberToObject(error, "exit_code", 4);
    cJSON_AddStringToObject(error, "state", "diverged");
    cJSON_AddStringToObject(error, "message",
                            r->message ? r->message : "step 7: the loss is nan; try a lower learning_rate");
    put_start(error, r);
    put_json(dir, "error.json", error);
}

static char *make_set(const char *name, const run *runs, size_t n, bool language) {
    char *set = lf_path_join(folder, name);
    for (size_t i = 0; i < n; i++) make_run(set, &runs[i], language);
    return set;
}

static const run two_inits[] = {
    {"a1", "pissa", 1e-3, 1, 0.80, 0.70, 0.01, NULL},
    {"a2", "pissa", 1e-3, 2, 0.82, 0.72, 0.01, NULL},
    {"a3", "pissa", 1e-3, 3, 0.84, 0.74, 0.01, NULL},
    {"a4", "pissa", 1e-2, 1, NAN, 0, 0, NULL},
    {"a5", "pissa", 1e-2, 2, NAN, 0, 0, NULL},
    {"a6", "pissa", 1e-2, 3, NAN, 0, 0, NULL},
    {"b1", "intermediate", 1e-3, 1, 0.70, 0.90, 0.005, NULL},
    {"b2", "intermediate", 1e-3, 2, 0.72, 0.92, 0.005, NULL},
    {"b3", "intermediate", 1e-3, 3, 0.74, 0.94, 0.005, NULL},
    {"b4", "intermediate", 1e-2, 1, 0.85, 0.80, 0.02, NULL},
    {"b5", "intermediate", 1e-2, 2, 0.86, 0.82, 0.02, NULL},
    {"b6", "intermediate", 1e-2, 3, 0.87, 0.84, 0.02, NULL},
};
enum { N_TWO_INITS = sizeof two_inits / sizeof two_inits[0] };
static const char *const all_pictures[] = {"position", "tradeoff", "learning-rate", "curves", "update"};
enum { N_PICTURES = sizeof all_pictures / sizeof all_pictures[0] };

static void report(const char *set) {
    lf_err err = {0};
    FILE *out = tmpfile();
    const lf_status rc = lf_report_set(set, NULL, false, out, &err);
    fclose(out);
    assert_ok(rc, err);
}

static const char *named(const char *name, const char *ending) {
    static char text[2][64];
    static unsigned next;
    char *t = text[next++ % 2];
    snprintf(t, sizeof text[0], "%s.%s", name, ending);
    return t;
}

/* ---- numbers ---- */

static void bands_are_of_their_kind(void **state) {
    (void)state;
    const lf_band none = lf_band_of((lf_sample){1, 0.5, NAN, NAN, NAN}, 100),
                  two = lf_band_of((lf_sample){2, 0.5, 0.1 * sqrt(2), 0, 1}, 100);
    const lf_band three = lf_band_of((lf_sample){3, 0.5, 0.1, 0.25, 0.75}, 100);
    assert_true(isnan(none.low) && isnan(none.high));
    assert_true(fabs(two.low - 40) < 1e-9 && fabs(two.high - 60) < 1e-9 && !two.interval);
    assert_true(three.low == 25 && three.high == 75 && three.interval);
}

static void numbers_of_tics_are_short(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {{3e-4, "3e-4"},     {0.01, "0.01"},  {1, "1"},         {0, "0"},         {1e-3, "1e-3"},
                 {2.5e-5, "2.5e-5"}, {100000, "1e5"}, {1e-10, "1e-10"}, {-3e-4, "-3e-4"}, {12, "12"}};
    char text[40];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lf_number_short(text, sizeof text, cases[i].value);
        assert_string_equal(text, cases[i].text);
    }
}

/* They are spoken of in powers. */
static void rates_are_as_people_write_them(void **state) {
    (void)state;
    static const struct {
        double value;
        int digits;
        const char *text;
    } cases[] = {{0.03, 6, "3e-2"},
                 {0.5, 6, "0.5"},
                 {1e-3, 6, "1e-3"},
                 {3e-4 * 0.1, 6, "3e-5"},
                 {0.000299999, 3, "3e-4"},
                 {0.000299999, 6, "2.99999e-4"},
                 {0.09999, 3, "0.1"},
                 {0.0999, 3, "9.99e-2"},
                 {0.000316228, 6, "3.16228e-4"},
                 {2e-5, 1, "2e-5"},
                 {1, 6, "1"},
                 {999, 6, "999"},
                 {12345, 3, "12300"},
                 {0, 3, "0"},
                 {NAN, 3, "nan"}};
    char text[40];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lf_number_rate(text, sizeof text, cases[i].value, cases[i].digits);
        assert_string_equal(text, cases[i].text);
    }
}

/* Every range, wide or narrow, has a few tics. */
static void log_axes_have_tics(void **state) {
    (void)state;
    static const double ranges[][2] = {{10, 12}, {9.9, 10.1},  {1, 1e9},       {1e-5, 1e-2},
                                       {3, 70},  {17.5, 24.6}, {1e-300, 1e300}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);
        lf_plot_log_axis(f, 'y', ranges[i][0], ranges[i][1]);
        fclose(f);
        int tics = 0;
        for (const char *at = text; (at = strstr(at, "' ")); at++) tics++;
        if (tics < 2 || tics > 10) fail_msg("%d tics: %s", tics, text);
        free(text);
    }
}

static void csv_holds(const char *csv, const char *line) {
    const size_t n = strlen(line);
    for (const char *at = csv; (at = strstr(at, line)); at += n)
        if (at == csv || at[-1] == '\n') return;
    fail_msg("no line '%s' in\n%s", line, csv);
}

static void every_number_is_in_the_csv(void **state) {
    (void)state;
    char *set = make_set("numbers", two_inits, N_TWO_INITS, false), *csv;
    report(set);
    csv = get_file(set, "learning-rate.csv");
    holds(csv, "figure,unit,series,learning_rate,value,low,high,band,n,diverged,best\n");
    /* 0.82 +- 4.302652730 x 0.02 / sqrt(3) */
    csv_holds(csv, "eval_accuracy,%,pissa,0.001,82,77.0317246,86.9682754,95 % interval,3,0,1\n");
    csv_holds(csv, "eval_accuracy,%,pissa,0.01,,,,,0,3,0\n");
    csv_holds(csv, "forgetting,points,\"intermediate, init_position 0.5\",0.01,16.2,");
    lf_free(csv);
    csv = get_file(set, "position.csv");
    csv_holds(csv, "eval_accuracy,%,learning rate 1e-3,0.001,0,82,");
    csv_holds(csv, "eval_accuracy,%,learning rate 1e-2,0.01,0.5,86,");
    lf_free(csv);
    csv = get_file(set, "position.csv");
    csv_holds(csv, "eval_accuracy,%,chance,,,10,,,,,,\n");
    lf_free(csv);
    csv = get_file(set, "tradeoff.csv");
    csv_holds(csv, "retention,%,untouched base,,,,,100,,,,,,\n");
    holds(csv, "retention,%,\"intermediate, init_position 0.5\",0.01,86,83.5158623,88.4841377,82,");
    holds(csv, ",1,1\n"); /* best, on the front */
    lf_free(csv);
    csv = get_file(set, "curves.csv");
    csv_holds(csv, "eval_accuracy,%,pissa,40,82,77.0317246,86.9682754,95 % interval,3\n");
    csv_holds(csv, "loss,nats,pissa,40,2,,,,3\n");
    lf_free(csv);
    csv = get_file(set, "update.csv");
    holds(csv, "figure,unit,series,run,learning_rate,update_ratio,value,");
    csv_holds(csv, "forgetting,points,pissa,a1,0.001,0.01,27,");
    lf_free(csv);
    lf_free(set);
}

/* Starts by the names that people know, as dark as their place; plain LoRA as a line; and of a method the rates that
 * another of its own passes beside its line. */
static void starts_as_they_are_known(void **state) {
    (void)state;
    static const char *const known[][2] = {
        {"pissa", "PiSSA"}, {"intermediate", "position 0.5"}, {"kaiming", "plain LoRA"}, {NULL, NULL}};
    static const run runs[] = {
        {"a", "pissa", 1e-3, 1, 0.80, 0.70, 0.01, NULL},        {"b", "pissa", 1e-2, 1, 0.85, 0.60, 0.01, NULL},
        {"c", "intermediate", 1e-3, 1, 0.78, 0.75, 0.01, NULL}, {"d", "intermediate", 1e-2, 1, 0.86, 0.66, 0.01, NULL},
        {"e", "kaiming", 1e-3, 1, 0.80, 0.60, 0.01, NULL},      {"f", "kaiming", 1e-2, 1, 0.84, 0.65, 0.01, NULL}};
    titles = known;
    char *set = make_set("known", runs, 6, false);
    report(set);
    titles = NULL;
    char *text = get_file(set, "learning-rate.csv");
    csv_holds(text, "eval_accuracy,%,PiSSA,0.001,80,");
    csv_holds(text, "eval_accuracy,%,position 0.5 (middle),0.01,86,");
    csv_holds(text, "eval_accuracy,%,plain LoRA,0.01,84,");
    lf_free(text);
    text = get_file(set, "learning-rate.gp");
    holds(text, "lc rgb '#0d0887'"); /* the first place */
    holds(text, "lc rgb '#cc4778'"); /* the middle */
    holds(text, "lc rgb '#222222'"); /* plain LoRA */
    holds(text, "'1e-2' 0.01");
    lf_free(text);
    text = get_file(set, "position.csv");
    csv_holds(text, "eval_accuracy,%,\"plain LoRA, 1e-2\",,,84,");
    csv_holds(text, "forgetting,points,\"plain LoRA, 1e-2\",,,31.5,");
    lf_free(text);
    text = get_file(set, "position.gp");
    holds(text, "set xtics ('0 (PiSSA)' 0, '0.5 (middle)' 0.5)");
    holds(text, "'plain LoRA, 1e-2' at graph 0.385");
    holds(text, "chance: 10 %"); /* too far away for a line */
    lf_free(text);
    text = get_file(set, "tradeoff.gp");
    holds(text, "$a0_1 << END\n80 60\nEND");
    lf_free(text);
    text = get_file(set, "report.html");
    holds(text, "<title>model: 6 runs compared</title>");
    holds(text, "<td>position 0.5 (middle)</td>");
    lf_free(text);
    lf_free(set);
}

static void shades_go_from_dark_to_light(void **state) {
    (void)state;
    static const struct {
        double place;
        const char *color;
    } cases[] = {{0, "#0d0887"}, {0.5, "#cc4778"}, {1, "#e2a814"}, {0.125, "#460698"}, {-1, "#0d0887"}, {2, "#e2a814"}};
    char color[8];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lf_plot_shade(color, cases[i].place);
        assert_string_equal(color, cases[i].color);
    }
}

/* ---- pictures ---- */

static void pictures_are_whole(void **state) {
    (void)state;
    if (!has_gnuplot()) skip();
    for (int language = 0; language < 2; language++) {
        run runs[N_TWO_INITS];
        memcpy(runs, two_inits, sizeof runs);
        for (size_t i = 0; language && i < N_TWO_INITS; i++) runs[i].accuracy = 20 - 10 * runs[i].accuracy;
        char *set = make_set(language ? "texts" : "images", runs, N_TWO_INITS, language);
        report(set);
        for (int i = 0; i < N_PICTURES; i++) {
            char *svg = get_file(set, named(all_pictures[i], "svg"));
            is_balanced(svg, false);
            holds(svg, strcmp(all_pictures[i], "position") ? "pissa" : "learning rate 1e-3");
            holds(svg, i == 4     ? (language ? "forgetting (nats)" : "forgetting (points)")
                       : language ? "perplexity"
                                  : "accuracy (%)");
            lf_free(svg);
        }
        char *svg = get_file(set, "learning-rate.svg");
        holds(svg, "cross at the top: a run diverged");
        holds(svg, "95 % interval of the mean over seeds");
        holds(svg, "ring: best learning rate");
        holds(svg, language ? "forgetting (nats)" : "forgetting (points)");
        holds(svg, ">1e-3<");
        lf_free(svg);
        lf_free(set);
    }
}

/* How many numbered tics the x axis has; they must rise or fall from left to right. */
static int tics_in_order(const char *svg, bool rising) {
    int tics = 0;
    double last_x = 0, last = 0;
    for (const char *at = svg; (at = strstr(at, "<g transform=\"translate(")); at++) {
        const char *stop = strstr(at, "</g>"), *middle = strstr(at, "text-anchor=\"middle\""),
                   *span = strstr(at, "<tspan"), *shown = span ? strchr(span, '>') : NULL;
        if (!stop || !middle || !shown || middle > stop || shown > stop) continue;
        char *end;
        const double x = strtod(at + strlen("<g transform=\"translate("), NULL), value = strtod(shown + 1, &end);
        if (end == shown + 1 || *end != '<') continue;
        if (tics++) assert_true((x > last_x) == (rising ? value > last : value < last));
        last_x = x;
        last = value;
    }
    return tics;
}

/* Better is to the right, of perplexities as of accuracies: so the script says, and so the tics stand. */
static void the_tradeoff_points_right_and_up(void **state) {
    (void)state;
    for (int language = 0; language < 2; language++) {
        run runs[N_TWO_INITS];
        memcpy(runs, two_inits, sizeof runs);
        for (size_t i = 0; language && i < N_TWO_INITS; i++) runs[i].accuracy = 20 - 10 * runs[i].accuracy;
        char *set = make_set(language ? "right-texts" : "right-images", runs, N_TWO_INITS, language);
        report(set);
        char *script = get_file(set, "tradeoff.gp");
        holds(script, language ? "set xrange [12.8743474:11.3341667]"
                               : "set xrange [71.3:86.7]"); /* the worst is at the left */
        holds_not(script, "reverse");
        lf_free(script);
        if (has_gnuplot()) {
            char *svg = get_file(set, "tradeoff.svg");
            assert_true(tics_in_order(svg, !language) >= 3);
            lf_free(svg);
        }
        lf_free(set);
    }
}

/* A bar that is longer than the panel keeps its numbers: gnuplot clips it, and draws no cap there. */
static void scripts_hold_true_bands(void **state) {
    (void)state;
    static const run runs[] = {
        {"a", "pissa", 1e-3, 1, 0.10, 0.70, 0.01, NULL}, {"b", "pissa", 1e-3, 2, 0.50, 0.70, 0.01, NULL},
        {"c", "pissa", 1e-3, 3, 0.90, 0.70, 0.01, NULL}, {"d", "pissa", 1e-2, 1, 0.52, 0.60, 0.01, NULL},
        {"e", "pissa", 1e-2, 2, 0.52, 0.60, 0.01, NULL}, {"f", "pissa", 1e-2, 3, 0.52, 0.60, 0.01, NULL}};
    char *set = make_set("bands", runs, 6, false);
    report(set);
    char *script = get_file(set, "learning-rate.gp");
    holds(script, "0.001 50 -49.36550");
    lf_free(script);
    script = get_file(set, "tradeoff.gp");
    holds(script, " -49.36550");
    lf_free(script);
    lf_free(set);
}

/* A loss that is zero throughout still has a range, and correlations below zero have their place. */
static void curves_have_room(void **state) {
    (void)state;
    static const char *const rows[] = {
        "{\"step\": 0, \"epoch\": 0, \"eval_pearson\": -0.4}\n"
        "{\"step\": 2, \"epoch\": 1, \"loss\": 0, \"train_accuracy\": 0, \"learning_rate\": 0, \"grad_norm\": 0}\n",
        "{\"step\": 2, \"epoch\": 1, \"loss\": 0, \"train_accuracy\": 0, \"learning_rate\": 0, \"grad_norm\": 0}\n",
        "{\"step\": 0, \"epoch\": 0, \"eval_accuracy\": 0.4, \"eval_loss\": 1}\n"
        "{\"step\": 2, \"epoch\": 1, \"loss\": 2, \"train_accuracy\": 0, \"learning_rate\": 0, \"grad_norm\": 0}\n"};
    static const char *const said[][2] = {{"set yrange [-1:1]", "set y2range [0:1]"},
                                          {"set yrange [0:1]\n", "set ylabel 'loss'"},
                                          {"set yrange [0:1]", "set y2range [0:*]"}};
    char *set = make_set("room", two_inits, 1, false), *run_dir = lf_path_join(set, two_inits[0].name);
    lf_err err = {0};
    bool drawn;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put_file(run_dir, "metrics.jsonl", rows[i]);
        assert_ok(lf_report_curves(run_dir, &drawn, &err), err);
        char *script = get_file(run_dir, "curves.gp");
        holds(script, said[i][0]);
        holds(script, said[i][1]);
        lf_free(script);
    }
    lf_free(run_dir);
    lf_free(set);
}

/* ---- which class is taken for which ---- */

static char *confusion_of(int n) {
    lf_string t = {0};
    lf_string_add(&t, "{\"labels\": [");
    for (int i = 0; i < n; i++) lf_string_add(&t, "%s\"a_%d's <b>\"", i ? ", " : "", i);
    lf_string_add(&t, "], \"counts\": [");
    for (int y = 0; y < n; y++)
        for (int x = 0; x < n; x++)
            lf_string_add(&t, "%s%d%s",
                          x   ? ", "
                          : y ? "], ["
                              : "[",
                          x == y   ? 6
                          : x == 0 ? 2
                                   : 0,
                          x + 1 == n && y + 1 == n ? "]]}" : "");
    return lf_string_take(&t);
}

static void confusion_is_drawn(void **state) {
    (void)state;
    char *set = make_set("confusion", two_inits, 1, false), *dir = lf_path_join(set, two_inits[0].name);
    static const struct {
        int classes;
        const char *says[4], *not [2];
    } cases[] = {
        /* a share of its row and its count; no square of a pair that never occurs; names that stand for themselves */
        {3,
         {"$squares << END\n0 0 1 6\n0 1 0.25 2\n1 1 0.75 6\n0 2 0.25 2\n2 2 0.75 6\nEND\n",
          "set ytics ('a\\_0''s <b>' 0, 'a\\_1''s <b>' 1, ", "set yrange [2.5:-0.5]", "with labels"},
         {"number of the class", "1 2 0"}},
        {25, {"0 24 0.25 2\n24 24 0.75 6\nEND", "set xtics rotate by 60 right ("}, {"with labels", "number of"}},
        {77,
         {"76 76 0.75 6\nEND", "said (number of the class)", "right (number of the class)"},
         {"set xtics", "with labels"}},
    };
    lf_err err = {0};
    bool drawn;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *json = confusion_of(cases[i].classes);
        put_file(dir, "confusion.json", json);
        lf_free(json);
        assert_ok(lf_report_confusion(dir, &drawn, &err), err);
        char *script = get_file(dir, "confusion.gp");
        for (int k = 0; k < 4 && cases[i].says[k]; k++) holds(script, cases[i].says[k]);
        for (int k = 0; k < 2; k++)
            if (strstr(script, cases[i].not [k])) fail_msg("%d classes: '%s'", cases[i].classes, cases[i].not [k]);
        lf_free(script);
        assert_true(drawn == has_gnuplot() && is_there(dir, "confusion.svg") == drawn);
    }
    assert_ok(lf_report_html(dir, &err), err);
    char *page = get_file(dir, "report.html");
    if (has_gnuplot()) holds(page, "alt=\"Confusion\"");
    is_balanced(page, true);
    lf_free(page);
    lf_free(dir);
    lf_free(set);
}

/* Nothing to draw: no picture, and none that an earlier report drew. */
static void confusion_of_too_little_goes(void **state) {
    (void)state;
    char *set = make_set("unconfused", two_inits, 1, false), *dir = lf_path_join(set, two_inits[0].name),
         *many = confusion_of(251);
    const char *const cases[] = {NULL,
                                 many,
                                 "{\"labels\": [\"a\"], \"counts\": [[3]]}",
                                 "{\"labels\": [\"a\", \"b\"], \"counts\": [[3, 1]]}",
                                 "{\"labels\": [\"a\", \"b\"], \"counts\": [[3, 1], [1, \"x\"]]}",
                                 "{\"labels\": [\"a\", \"b\"], \"counts\": [[0, 0], [0, 0]]}",
                                 "{\"labels\": [\"a\", \"b\"], \"classes\": []}",
                                 "[]"};
    lf_err err = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool drawn = true;
        if (cases[i]) put_file(dir, "confusion.json", cases[i]);
        put_file(dir, "confusion.svg", "an older picture");
        put_file(dir, "confusion.gp", "an older script");
        assert_ok(lf_report_confusion(dir, &drawn, &err), err);
        if (drawn || is_there(dir, "confusion.svg") || is_there(dir, "confusion.gp")) fail_msg("case %zu", i);
    }
    put_file(dir, "confusion.json", "{");
    bool drawn;
    assert_int_equal(lf_report_confusion(dir, &drawn, &err), LF_EDATA);
    lf_free(many);
    lf_free(dir);
    lf_free(set);
}

static void without_gnuplot_all_else_is_there(void **state) {
    (void)state;
    char *set = make_set("bare", two_inits, N_TWO_INITS, false), *run_dir = lf_path_join(set, "a1");
    lf_err err = {0};
    bool drawn = true;
    for (int i = 0; i < N_PICTURES; i++) put_file(set, named(all_pictures[i], "svg"), "an older picture");
    setenv("PATH", "", 1);
    report(set);
    const lf_status rc = lf_report_curves(run_dir, &drawn, &err);
    setenv("PATH", search_path, 1);
    assert_ok(rc, err);
    assert_false(drawn);
    assert_true(is_there(run_dir, "curves.csv") && is_there(run_dir, "curves.gp") && !is_there(run_dir, "curves.svg"));
    for (int i = 0; i < N_PICTURES; i++) {
        assert_true(is_there(set, named(all_pictures[i], "csv")) && is_there(set, named(all_pictures[i], "gp")));
        assert_false(is_there(set, named(all_pictures[i], "svg")));
    }
    assert_true(is_there(set, "results.csv") && is_there(set, "summary.csv"));
    char *page = get_file(set, "report.html");
    holds(page, "gnuplot was not there");
    holds(page, "learning-rate.csv");
    is_balanced(page, true);
    lf_free(page);
    lf_free(run_dir);
    lf_free(set);
}

/* A long name keeps its end, where the difference stands, and goes without what all have in common. */
static void legends_tell_series_apart(void **state) {
    (void)state;
    if (!has_gnuplot()) skip();
    static const char base[] = "a-kind-of-start-whose-name-is-so-long-that-the-legend-has-no-room-for-it-all-";
    char one[100], two[100];
    snprintf(one, sizeof one, "%sone", base);
    snprintf(two, sizeof two, "%stwo", base);
    const run runs[] = {{"a", one, 1e-3, 1, 0.80, 0.70, 0.01, NULL},
                        {"b", two, 1e-3, 1, 0.70, 0.60, 0.01, NULL},
                        {"c", one, 1e-2, 1, 0.80, 0.70, 0.01, NULL}};
    char *set = make_set("legends", runs, 3, false);
    report(set);
    char *svg = get_file(set, "learning-rate.svg");
    holds(svg, "a-kind-of-start-whose-name-is-…gend-has-no-room-for-it-all-one");
    holds(svg, "a-kind-of-start-whose-name-is-…gend-has-no-room-for-it-all-two");
    lf_free(svg);
    lf_free(set);
}

/* Runs of an earlier version: the position that they were given stands in no picture, and a sentence says why. */
static void unknown_starts_have_no_position(void **state) {
    (void)state;
    unsaid = "";
    char *set = make_set("earlier", two_inits, N_TWO_INITS, false);
    report(set);
    assert_false(is_there(set, "position.csv"));
    assert_true(is_there(set, "tradeoff.csv"));
    char *page = get_file(set, "report.html");
    holds(page, "Not in “Where the adapter starts”: init_lora_weights intermediate, init_position 0.5; "
                "init_lora_weights pissa, init_position not set. The files of these runs do not say");
    lf_free(page);
    lf_free(set);
    unsaid = "pissa";
    set = make_set("mixed", two_inits, N_TWO_INITS, false);
    unsaid = NULL;
    report(set);
    page = get_file(set, "report.html");
    holds(page, "Not in “Where the adapter starts”: init_lora_weights pissa, init_position not set. The files");
    lf_free(page);
    lf_free(set);
}

/* The name of a start that is no mere block stands before its curve, whatever it is called. */
static void other_starts_are_curves_of_their_own(void **state) {
    (void)state;
    static const char *const starts[] = {"{\"name\": \"new\", \"plain\": false, \"position\": 0}",
                                         "{\"name\": \"new\", \"plain\": false, \"position\": 1}",
                                         "{\"name\": \"a\", \"plain\": true, \"position\": 0.25}",
                                         "{\"name\": \"b\", \"plain\": true, \"position\": 0.75}"};
    char *set = lf_path_join(folder, "curves");
    for (int i = 0; i < 4; i++) {
        char name[8], text[500];
        snprintf(name, sizeof name, "r%d", i);
        char *dir = lf_path_join(set, name);
        assert_int_equal(lf_mkdir_p(dir, NULL), LF_OK);
        snprintf(text, sizeof text,
                 "{\"output_dir\": \"x\", \"init_lora_weights\": \"s%d\", \"learning_rate\": 0.001, \"seed\": 1}", i);
        put_file(dir, "config.json", text);
        snprintf(text, sizeof text, "{\"eval_accuracy\": 0.5, \"forgetting\": 0.1, \"start\": %s}", starts[i]);
        put_file(dir, "all_results.json", text);
        lf_free(dir);
    }
    report(set);
    char *csv = get_file(set, "position.csv");
    csv_holds(csv, "eval_accuracy,%,\"new, learning rate 1e-3\",0.001,0,50,");
    csv_holds(csv, "eval_accuracy,%,\"new, learning rate 1e-3\",0.001,1,50,");
    csv_holds(csv, "eval_accuracy,%,learning rate 1e-3,0.001,0.25,50,");
    csv_holds(csv, "eval_accuracy,%,learning rate 1e-3,0.001,0.75,50,");
    lf_free(csv);
    lf_free(set);
}

static void put_odd(const char *set, const char *name, const char *modules, const char *position, double rate,
                    double accuracy) {
    char *dir = lf_path_join(set, name), text[1000];
    assert_int_equal(lf_mkdir_p(dir, NULL), LF_OK);
    snprintf(text, sizeof text,
             "{\"output_dir\": \"x\", \"init_lora_weights\": \"intermediate\", \"model\": \"%s\", \"target_modules\": "
             "%s, \"init_position\": %s, \"learning_rate\": %g, "
             "\"seed\": 1}",
             accuracy > 0.5 ? "a/long/path/to/the/model" : "a/long/path/to/another/model", modules, position, rate);
    put_file(dir, "config.json", text);
    snprintf(text, sizeof text,
             "{\"eval_accuracy\": %g, \"forgetting\": 0.1, \"retention\": 0.9, "
             "\"start\": {\"name\": \"x\", \"plain\": true, \"position\": %s}}",
             accuracy, position);
    put_file(dir, "all_results.json", text);
    lf_free(dir);
}

static void shared_parts_are_left_out(void **state) {
    (void)state;
    char *set = lf_path_join(folder, "parts");
    static const char all[] = "[\"q_proj\", \"k_proj\"]";
    put_odd(set, "a", all, "0.5", 1e-3, 0.6);
    put_odd(set, "b", all, "0.25", 1e-3, 0.6);
    put_odd(set, "c", all, "0.5", 1e-2, 0.4);
    put_odd(set, "d", all, "{\"index\": 7}", 1e-3, 0.6);
    put_file(set, "sweep.json",
             "{\"swept\": [\"model\", \"target_modules\", \"init_position\"], \"runs\": [\"a\", \"b\", \"c\", \"d\"], "
             "\"points\": [{}, {}, {}, {}]}");
    report(set);
    char *script = get_file(set, "learning-rate.gp"), *page = get_file(set, "report.html");
    holds(script, "model a/long/path/to/another/model, init\\_position 0.5'");
    holds_not(script, "target");
    lf_free(script);
    script = get_file(set, "tradeoff.gp"); /* two models, two fronts: a line each */
    holds(script, "$front0 << END\n40 90 ");
    holds(script, "\n\n60 90 ");
    holds(page, "Not in “Where the adapter starts”: model a/long/path/to/the/model, target_modules "
                "[&quot;q_proj&quot;, &quot;k_proj&quot;], "
                "init_position {&quot;index&quot;: 7}.");
    lf_free(page);
    lf_free(script);
    lf_free(set);
}

/* "shaded" of lines, "bars" where a line would be of one dot. */
static void notes_name_what_is_drawn(void **state) {
    (void)state;
    run runs[N_TWO_INITS];
    memcpy(runs, two_inits, sizeof runs);
    char *set = make_set("notes", runs, N_TWO_INITS, false);
    report(set);
    char *script = get_file(set, "learning-rate.gp");
    holds(script,
          "'shaded, bars: 95 % interval of the mean over seeds"); /* pissa has one rate at which it did not diverge */
    lf_free(script);
    lf_free(set);
    for (int i = 0; i < N_TWO_INITS; i++) runs[i].rate = 1e-3 * (1 + i / 6); /* each a rate of its own */
    set = make_set("notes-bars", runs + 6, 3, false);
    make_run(set, &(run){"z1", "pissa", 1e-2, 1, 0.5, 0.5, 0.01, NULL}, false);
    report(set);
    script = get_file(set, "learning-rate.gp");
    holds(script, "'bars: 95 % interval");
    lf_free(script);
    lf_free(set);
}

/* One run is no comparison; what an earlier report drew of more would be wrong. */
static void pictures_of_too_little_go(void **state) {
    (void)state;
    char *set = make_set("one", two_inits, 1, false);
    for (int i = 0; i < N_PICTURES; i++) put_file(set, named(all_pictures[i], "csv"), "old");
    put_file(set, "position.gp", "old");
    put_file(set, "position.svg", "old");
    report(set);
    for (int i = 0; i < N_PICTURES; i++)
        assert_int_equal(is_there(set, named(all_pictures[i], "csv")), strcmp(all_pictures[i], "curves") == 0);
    assert_false(is_there(set, "position.gp") || is_there(set, "position.svg"));
    lf_free(set);
}

/* ---- pages ---- */

/* As the page holds a drawing: base64 of <svg ... </svg>. */
static void is_image_of(const char *page, const char *svg) {
    const char *begin = strstr(svg, "<svg"), *end = strstr(svg, "</svg>") + strlen("</svg>");
    char command[200], *text = NULL;
    size_t size;
    lf_err err = {0};
    char *bare = lf_path_join(folder, "drawing.txt"), *coded = lf_path_join(folder, "coded.txt");
    assert_ok(lf_file_write(bare, begin, (size_t)(end - begin), &err), err);
    snprintf(command, sizeof command, "base64 -w0 '%s' > '%s'", bare, coded);
    assert_int_equal(system(command), 0);
    assert_ok(lf_file_read(&text, &size, coded, &err), err);
    holds(page, text);
    lf_free(text);
    lf_free(coded);
    lf_free(bare);
}

static void page_of_a_set_stands_alone(void **state) {
    (void)state;
    char *set = make_set("page", two_inits, N_TWO_INITS, false);
    report(set);
    char *page = get_file(set, "report.html");
    is_balanced(page, true);
    asks_nobody(page);
    ids_are_unique(page);
    holds(page, "82.0 <small>± 5.0</small>");
    holds(page, "0 of 3");
    holds(page, "step 7: the loss is nan; try a lower learning_rate");
    holds(page, "data/model");
    holds(page, lf_version());
    holds(page, "gathered from a folder");
    if (has_gnuplot())
        for (int i = 0; i < N_PICTURES; i++) {
            char *svg = get_file(set, named(all_pictures[i], "svg"));
            is_image_of(page, svg);
            lf_free(svg);
        }
    lf_free(page);
    put_file(set, "sweep-config.json", "{}");
    put_file(set, "sweep.json",
             "{\"swept\": [\"init_lora_weights\", \"learning_rate\", \"seed\"], \"runs\": [\"a1\", \"c1\"], "
             "\"points\": [{\"init_lora_weights\": \"pissa\", "
             "\"learning_rate\": 0.001, \"seed\": 1}, {\"init_lora_weights\": \"milora\", \"learning_rate\": 0.001, "
             "\"seed\": 1}]}");
    report(set);
    page = get_file(set, "report.html");
    holds(page, "lora-ft sweep --config ");
    holds(page, "unfinished");
    holds(page, "<p>11 other runs below this folder are not of this sweep, and not shown.</p>");
    is_balanced(page, true);
    lf_free(page);
    lf_free(set);
}

static void one_json_object(void **state) {
    (void)state;
    char *set = make_set("json", two_inits, N_TWO_INITS, false), *text = NULL;
    size_t size;
    lf_err err = {0};
    FILE *out = open_memstream(&text, &size);
    const lf_status rc = lf_report_set(set, NULL, true, out, &err);
    fclose(out);
    assert_ok(rc, err);
    cJSON *o;
    assert_ok(lf_json_parse(&o, text, size, "stdout", &err), err);
    assert_int_equal(cJSON_GetObjectItem(o, "runs")->valuedouble, 12);
    assert_int_equal(cJSON_GetObjectItem(o, "diverged")->valuedouble, 3);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(o, "groups")), 2);
    const cJSON *group;
    cJSON_ArrayForEach(group, cJSON_GetObjectItem(o, "groups")) {
        const bool pissa = strstr(cJSON_GetObjectItem(group, "name")->valuestring, "pissa");
        assert_true(fabs(cJSON_GetObjectItem(group, "eval_accuracy")->valuedouble - (pissa ? 0.82 : 0.86)) < 1e-12);
        assert_true(cJSON_GetObjectItem(group, "best_learning_rate")->valuedouble == (pissa ? 1e-3 : 1e-2));
    }
    cJSON_Delete(o);
    free(text);
    lf_free(set);
}

/* Figures of a folder that one may only read, a colleague's: they are printed, and it is said that nothing is written.
 */
static void a_folder_to_be_read_only(void **state) {
    (void)state;
    enum { NOBODY = 65534 }; /* root may write everywhere */
    char *set = make_set("theirs", two_inits, N_TWO_INITS, false), *text = NULL, *json = NULL;
    size_t size;
    lf_err err = {0};
    const bool root = geteuid() == 0;
    assert_int_equal(chmod(folder, 0755) | chmod(set, 0555), 0);
    assert_true(!root || seteuid(NOBODY) == 0);
    FILE *out = open_memstream(&text, &size), *as_json = open_memstream(&json, &size);
    lf_status rc = lf_report_set(set, NULL, false, out, &err);
    if (!rc) rc = lf_report_set(set, NULL, true, as_json, &err);
    assert_true(!root || seteuid(0) == 0);
    assert_int_equal(chmod(set, 0755), 0);
    fclose(out);
    fclose(as_json);
    assert_ok(rc, err);
    holds(text, "pissa");
    holds(text, "12 runs, 9 done, 3 diverged");
    holds_not(text, "report.html");
    holds(json, "\"groups\"");
    holds_not(json, "report.html");
    assert_false(is_there(set, "report.html") || is_there(set, "results.csv") || is_there(set, "curves.svg"));
    free(text);
    free(json);
    report(set); /* and once it may be */
    assert_true(is_there(set, "report.html") && is_there(set, "results.csv"));
    lf_free(set);
}

static void page_of_a_run(void **state) {
    (void)state;
    char *set = make_set("single", two_inits, N_TWO_INITS, false), *done = lf_path_join(set, "a1"),
         *diverged = lf_path_join(set, "a4");
    lf_err err = {0};
    bool drawn;
    assert_ok(lf_report_curves(done, &drawn, &err), err);
    put_file(done, "spectrum.svg",
             "<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\"><g id=\"gnuplot_canvas\"><use "
             "href='#gpPt1'/></g></svg>\n");
    char *spectrum = get_file(done, "spectrum.svg");
    put_file(done, "update-map.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>");
    assert_ok(lf_report_html(done, &err), err);
    char *page = get_file(done, "report.html");
    is_balanced(page, true);
    asks_nobody(page);
    ids_are_unique(page);
    holds(page, "<b>80.00 %</b>");
    is_image_of(page, spectrum);
    lf_free(spectrum);
    holds(page, "update-map.svg is not shown");
    holds(page, "lora-ft train --config ");
    lf_free(page);
    assert_ok(lf_report_html(diverged, &err), err);
    page = get_file(diverged, "report.html");
    is_balanced(page, true);
    holds(page, "step 7: the loss is nan");
    lf_free(page);
    lf_free(diverged);
    lf_free(done);
    lf_free(set);
}

/* What is no drawing of gnuplot's is not shown, however it is written: most of these would do nothing in an image, but
 * nobody has to know which. */
static void only_plain_drawings_are_shown(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "no picture",
                                      "<svg>",
                                      "</svg>",
                                      "<svg></svg><p>more</p>",
                                      "<svg onload></svg>",
                                      "<svg onload=x()></svg>",
                                      "<svg><a\nonclick = 'x'></a></svg>",
                                      "<svg><A HREF='javascript:x'></A></svg>",
                                      "<svg><a xlink:href='#gpPt1'>click</a></svg>",
                                      "<svg><image href='http://example.org/x.png'/></svg>",
                                      "<svg><image xlink:href = \"file:///etc/passwd\"/></svg>",
                                      "<svg><image href='data:image/svg+xml;base64,PHN2Zz4='/></svg>",
                                      "<svg><image href='&#104;ttp://example.org/x.png'/></svg>",
                                      "<svg><use href='http://example.org/x.svg#a'/></svg>",
                                      "<svg><use any:href='#group'/></svg>",
                                      "<svg><use href='#gp&#50;'/></svg>",
                                      "<svg><style>@import 'x'</style></svg>",
                                      "<svg><foreignObject></foreignObject></svg>",
                                      "<svg><p>of HTML</p></svg>",
                                      "<svg><img src =x srcset=y></svg>",
                                      "<svg><button formaction='javascript:x'>b</button></svg>",
                                      "<svg><form action='x'></form></svg>",
                                      "<svg><iframe srcdoc='x'></iframe></svg>",
                                      "<svg><meta http-equiv='refresh' content='0;x'/></svg>",
                                      "<svg><base href='http://example.org/'/></svg>",
                                      "<svg><pattern id='gpPat1'></pattern></svg>",
                                      "<svg><mask id='m'></mask></svg>",
                                      "<svg><symbol id='gpPt0'><use href='#gpPt1'/><use href='#gpPt1'/></symbol></svg>",
                                      "<svg><g id='gpPt0'><use href='#gpPt1'/><use href='#gpPt1'/></g></svg>",
                                      "<svg><g xml:id = \"gpPt0\"></g></svg>",
                                      "<svg><g id='g&#112;Pt0'></g></svg>",
                                      "<svg><!-- --></svg>",
                                      "<svg><?xml-stylesheet href='x'?></svg>",
                                      "<svg><![CDATA[x]]></svg>",
                                      "<svg><SCRIPT></SCRIPT></svg>",
                                      "<svg><svg:script>x</svg:script></svg>",
                                      "<svg><g <script>x</script></g></svg>",
                                      "<svg><g a='></g></svg>",
                                      "<svg><animate attributeName='href'/></svg>",
                                      "<svg><set attributeName='href' to='x'/></svg>"};
    char *set = make_set("drawings", two_inits, 1, false), *run_dir = lf_path_join(set, "a1");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        lf_err err = {0};
        put_file(run_dir, "spectrum.svg", bad[i]);
        assert_ok(lf_report_html(run_dir, &err), err);
        char *page = get_file(run_dir, "report.html");
        if (!strstr(page, "spectrum.svg is not shown")) fail_msg("shown: %s", bad[i]);
        holds_not(page, "<img");
        is_balanced(page, true);
        asks_nobody(page);
        lf_free(page);
    }
    lf_free(run_dir);
    lf_free(set);
}

/* The verb tells a run from a folder of runs. */
static lf_status verb(const char *dir, bool json, char **text, lf_err *err) {
    lf_config *cfg = NULL;
    size_t size;
    FILE *out = open_memstream(text, &size);
    lf_status rc;
    if (!(rc = lf_config_new(&cfg, "report", err)) && !(rc = lf_config_set(cfg, "run", dir, err)) &&
        !(rc = lf_config_set(cfg, "json", json ? "true" : "false", err)) && !(rc = lf_config_finish(cfg, err)))
        rc = lf_report(cfg, out, err);
    lf_config_free(cfg);
    fclose(out);
    return rc;
}

static void the_verb(void **state) {
    (void)state;
    char *set = make_set("verb", two_inits, N_TWO_INITS, false), *run_dir = lf_path_join(set, "a1"),
         *diverged = lf_path_join(set, "a4"), *text = NULL;
    lf_err err = {0};
    assert_ok(verb(set, true, &text, &err), err);
    holds(text, "\"groups\": [");
    free(text);
    assert_ok(verb(set, false, &text, &err), err);
    holds(text, "pissa");
    holds(text, "report.html");
    free(text);
    assert_ok(verb(run_dir, false, &text, &err), err);
    holds(text, "a1/report.html");
    free(text);
    assert_ok(verb(diverged, true, &text, &err), err); /* before its first step: it has no log */
    assert_string_equal(strchr(text, ','), ", \"drawn\": false}\n");
    assert_true(is_there(diverged, "report.html"));
    free(text);
    lf_free(diverged);
    put_file(set, "config.json", "{\"model_type\": \"vit\", \"output_dir\": \"of no run\"}");
    assert_ok(verb(set, true, &text, &err), err);
    holds(text, "\"groups\": [");
    free(text);
    diverged = lf_path_join(set, "none");
    assert_int_equal(verb(diverged, false, &text, &err), LF_ENOTFOUND);
    free(text);
    lf_free(diverged);
    lf_free(run_dir);
    lf_free(set);
}

/* ---- hostile text ---- */

static char *plot_text(const char *text) {
    char *out = NULL;
    size_t size;
    FILE *f = open_memstream(&out, &size);
    lf_plot_text(f, text);
    fclose(f);
    return out;
}

static void text_of_a_script_means_itself(void **state) {
    (void)state;
    static const struct {
        const char *text, *written;
    } cases[] = {{"it's", "it''s"},
                 {"'", "{}''"},
                 {"''a'b''", "{}''{}''a''b''{}''"},
                 {"a_b^c{d}", "a\\_b\\^c\\{d\\}"},
                 {"x\ny\x01z", "x y z"},
                 {"\\n", "\\\\n"},
                 {"caf\xc3\xa9 \xff", "caf\xc3\xa9 \xef\xbf\xbd"},
                 {"@~&", "\\@\\~\\&"},
                 {"`rm`", "`rm`"},
                 {"", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *out = plot_text(cases[i].text);
        assert_string_equal(out, cases[i].written);
        free(out);
    }
}

/* A name with quotes wherever they may stand: each picture is drawn, and says it. */
static void quotes_do_not_spoil_pictures(void **state) {
    (void)state;
    static const char *const names[] = {"'", "''first, two''of, a\\'b, \"'''"};
    if (!has_gnuplot()) skip();
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        run runs[N_TWO_INITS];
        memcpy(runs, two_inits, sizeof runs);
        for (size_t i = 0; i < N_TWO_INITS; i++)
            if (strcmp(runs[i].init, "pissa") == 0) runs[i].init = names[k];
        char in[32], *set;
        snprintf(in, sizeof in, "quotes-%zu'", k);
        set = make_set(in, runs, N_TWO_INITS, false);
        report(set);
        for (int i = 0; i < N_PICTURES; i++)
            if (is_there(set, named(all_pictures[i], "gp")) && !is_there(set, named(all_pictures[i], "svg")))
                fail_msg("%s is not drawn with the name %s", all_pictures[i], names[k]);
        char *page = get_file(set, "report.html");
        holds_not(page, "gnuplot failed on it");
        lf_free(page);
        lf_free(set);
    }
}

static int set_mode(const char *dir, const char *name, mode_t mode) {
    char *path = lf_path_join(dir, name);
    const int failed = chmod(path, mode);
    lf_free(path);
    return failed;
}

/* A folder from elsewhere may hold a program of that name, and PATH may hold "." */
static void gnuplot_is_not_the_folders(void **state) {
    (void)state;
    static const char evil[] = "#!/bin/sh\n/usr/bin/touch HACKED ../HACKED\n", *const paths[] = {".", "", ":",
                                                                                                 ".:", "a1:./a1"};
    char *set = make_set("own-gnuplot", two_inits, 1, false), *run_dir = lf_path_join(set, "a1");
    put_file(run_dir, "gnuplot", evil);
    put_file(set, "gnuplot", evil);
    assert_int_equal(set_mode(run_dir, "gnuplot", 0755) | set_mode(set, "gnuplot", 0755), 0);
    char *here = getcwd(NULL, 0);
    assert_int_equal(chdir(set), 0);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        lf_err err = {0};
        bool drawn = true;
        setenv("PATH", paths[i], 1);
        const lf_status rc = lf_report_curves("a1", &drawn, &err);
        setenv("PATH", search_path, 1);
        assert_ok(rc, err);
        assert_false(drawn || is_there(set, "HACKED") || is_there(run_dir, "HACKED"));
    }
    assert_int_equal(chdir(here), 0);
    free(here);
    lf_free(run_dir);
    lf_free(set);
}

/* "Not there" is said of one that is not there alone. */
static void what_was_wrong_with_gnuplot_is_said(void **state) {
    (void)state;
    char *set = make_set("broken-gnuplot", two_inits, 1, false), *run_dir = lf_path_join(set, "a1");
    lf_err err = {0};
    bool drawn = true;
    put_file(set, "gnuplot", "#!/bin/sh\nexit 1\n");
    assert_int_equal(set_mode(set, "gnuplot", 0755), 0);
    for (int there = 0; there < 2; there++) {
        setenv("PATH", there ? set : "/nonexistent", 1);
        lf_status rc = lf_report_curves(run_dir, &drawn, &err);
        if (!rc) rc = lf_report_html(run_dir, &err);
        setenv("PATH", search_path, 1);
        assert_ok(rc, err);
        assert_false(drawn);
        char *page = get_file(run_dir, "report.html");
        holds(page, there ? "gnuplot failed on it." : "gnuplot was not there.");
        lf_free(page);
    }
    lf_free(run_dir);
    lf_free(set);
}

/* gnuplot warns of a locale that the machine does not have, and of one without a degree sign. */
static void gnuplot_is_spared_the_locale(void **state) {
    (void)state;
    static const char *const names[] = {"xx_YY.UTF-8", "C"};
    char *set = make_set("locale", two_inits, 1, false), *run_dir = lf_path_join(set, "a1");
    char *was = getenv("LC_ALL") ? lf_strdup(getenv("LC_ALL")) : NULL;
    put_file(set, "gnuplot", "#!/bin/sh\necho \"$LC_ALL\" >locale-said\n");
    assert_int_equal(set_mode(set, "gnuplot", 0755), 0);
    for (int i = 0; i < 2; i++) {
        lf_err err = {0};
        bool drawn;
        setenv("LC_ALL", names[i], 1);
        setenv("PATH", set, 1);
        (void)lf_report_curves(run_dir, &drawn, &err); /* it draws nothing */
        setenv("PATH", search_path, 1);
        char *said = get_file(run_dir, "locale-said");
        assert_string_equal(said, "C.UTF-8\n");
        lf_free(said);
    }
    if (was)
        setenv("LC_ALL", was, 1);
    else
        unsetenv("LC_ALL");
    lf_free(was);
    lf_free(run_dir);
    lf_free(set);
}

static char warned[2000];
static void keep_warning(void *context, lf_log_level level, const char *line) {
    (void)context;
    const size_t n = strlen(warned);
    if (level == LF_LOG_WARN) snprintf(warned + n, sizeof warned - n, "%s\n", line);
}

/* A full disk, of which gnuplot says nothing and ends well: what failed is said. */
static void a_picture_that_found_no_room_is_told_of(void **state) {
    (void)state;
    if (access("/dev/full", W_OK)) skip();
    static const struct {
        const char *program, *words;
    } cases[] = {
        {"#!/bin/sh\n/bin/ln -s /dev/full curves.svg\n",
         "gnuplot ended as if all were well, but this picture cannot be written: No space left on device"},
        {"#!/bin/sh\necho '<svg>' >curves.svg\n", "but this picture is not whole, although it can be written now"},
        {"#!/bin/sh\nexit 3\n", "gnuplot failed on it (exit code 3)"},
        {"#!/bin/sh\nkill -KILL $$\n", "gnuplot was ended by signal 9 (Killed)"},
        {"#!/nowhere/sh\n", "gnuplot could not be started"},
    };
    char *set = make_set("full", two_inits, 1, false), *run_dir = lf_path_join(set, "a1");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lf_err err = {0};
        bool drawn = true;
        put_file(set, "gnuplot", cases[i].program);
        assert_int_equal(set_mode(set, "gnuplot", 0755), 0);
        setenv("PATH", set, 1);
        warned[0] = 0;
        lf_log_divert(keep_warning, NULL);
        const lf_log_level was = lf_log_set_level(LF_LOG_WARN);
        const lf_status rc = lf_report_curves(run_dir, &drawn, &err);
        lf_log_set_level(was);
        lf_log_divert(NULL, NULL);
        setenv("PATH", search_path, 1);
        assert_ok(rc, err);
        assert_false(drawn || is_there(run_dir, "curves.svg"));
        holds(warned, cases[i].words);
        holds(warned, "full/a1/curves.");
    }
    lf_free(run_dir);
    lf_free(set);
}

/* What is written into a folder from elsewhere goes nowhere else, and waits for nobody. */
static void links_and_pipes_in_a_folder_are_replaced(void **state) {
    (void)state;
    static const char *const written[] = {"report.html",   "results.csv",  "summary.csv",  "position.csv",
                                          "position.gp",   "position.svg", "update.gp",    "a1/report.html",
                                          "a1/curves.csv", "a1/curves.gp", "a1/curves.svg"};
    char *set = make_set("links", two_inits, N_TWO_INITS, false), *run_dir = lf_path_join(set, "a1"),
         *mine = lf_path_join(folder, "mine");
    for (int pipes = 0; pipes < 2; pipes++) {
        lf_err err = {0};
        bool drawn;
        put_file(folder, "mine", "of the user");
        for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
            char *path = lf_path_join(set, written[i]);
            assert_ok(lf_remove_tree(path, &err), err);
            assert_int_equal(pipes ? mkfifo(path, 0600) : symlink(mine, path), 0);
            lf_free(path);
        }
        report(set);
        assert_ok(lf_report_curves(run_dir, &drawn, &err), err);
        assert_ok(lf_report_html(run_dir, &err), err);
        char *kept = get_file(folder, "mine");
        assert_string_equal(kept, "of the user");
        lf_free(kept);
    }
    lf_free(mine);
    lf_free(run_dir);
    lf_free(set);
}

/* What is read of it may be a pipe without a writer, or have no end. */
static void what_is_no_file_is_not_read(void **state) {
    (void)state;
    static const char *const read[] = {"a1/metrics.jsonl",    "a1/confusion.json", "a1/spectrum.svg",
                                       "a2/all_results.json", "a3/error.json",     "a4/config.json",
                                       "sweep-config.json"};
    for (int endless = 0; endless < 2; endless++) {
        char *set = make_set(endless ? "endless" : "pipes", two_inits, N_TWO_INITS, false),
             *run_dir = lf_path_join(set, "a1");
        for (size_t i = 0; i < sizeof read / sizeof *read; i++) {
            char *path = lf_path_join(set, read[i]);
            assert_int_equal(lf_remove_tree(path, NULL), LF_OK);
            assert_int_equal(endless ? symlink("/dev/zero", path) : mkfifo(path, 0600), 0);
            lf_free(path);
        }
        char *text = NULL;
        lf_err err = {0};
        alarm(60); /* one that waits for the pipe ends here */
        assert_ok(verb(set, false, &text, &err), err);
        free(text);
        assert_ok(verb(run_dir, false, &text, &err), err);
        free(text);
        alarm(0);
        lf_free(run_dir);
        lf_free(set);
    }
}

/* Formulas in cells, and what commands a terminal or turns text round. */
static void texts_of_others_command_nobody(void **state) {
    (void)state;
    static const char evil[] = "=HYPERLINK(\"http://example.org\")\x1b]0;x\x07\xc2\x9b"
                               "2J\xe2\x80\xae"
                               "fdp.exe";
    run runs[N_TWO_INITS];
    memcpy(runs, two_inits, sizeof runs);
    for (size_t i = 0; i < N_TWO_INITS; i++) {
        if (strcmp(runs[i].init, "pissa") == 0) runs[i].init = evil;
        if (runs[i].message) runs[i].message = evil;
    }
    char *set = make_set("formulas", runs, N_TWO_INITS, false), *said = NULL;
    lf_err err = {0};
    assert_ok(verb(set, false, &said, &err), err);
    holds_not(said, "\x1b");
    holds_not(said, "\xc2\x9b");
    holds_not(said, "\xe2\x80\xae");
    free(said);
    static const char *const tables[] = {"results.csv", "summary.csv", "learning-rate.csv"};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        char *csv = get_file(set, tables[i]);
        holds(csv, "'=HYPERLINK");
        holds_not(csv, "\"=");
        holds_not(csv, ",=");
        lf_free(csv);
    }
    char *page = get_file(set, "report.html");
    holds_not(page, "\xe2\x80\xae");
    lf_free(page);
    lf_free(set);
}

static void hostile_text_stays_text(void **state) {
    (void)state;
    static const char evil[] =
        "x'; system(\"touch HACKED\") #`touch HACKED`\\_^{a}&lt;</svg><script>alert(1)</script>\"@x";
    run runs[N_TWO_INITS];
    memcpy(runs, two_inits, sizeof runs);
    for (size_t i = 0; i < N_TWO_INITS; i++)
        if (strcmp(runs[i].init, "pissa") == 0) {
            runs[i].init = evil;
            runs[i].message = "</td></table><img src=x onerror=alert(1)> & \"quotes\" 'too'";
        }
    runs[0].name = "a'\"&<b>`touch HACKED`";
    char *set = make_set("it's <b>\"hostile\"", runs, N_TWO_INITS, false);
    report(set);
    char *page = get_file(set, "report.html"), *script = get_file(set, "learning-rate.gp");
    is_balanced(page, true);
    holds_not(page, "<script>alert");
    holds_not(page, "<img src=x");
    holds(page, "&lt;img src=x onerror=alert(1)&gt;");
    holds(page, "<pre>lora-ft report &#39;");
    holds_not(script, "x'; system");
    holds(script, "x''; system");
    assert_false(is_there(set, "HACKED"));
    assert_false(lf_is_file("HACKED"));
    if (has_gnuplot()) {
        char *svg = get_file(set, "learning-rate.svg");
        is_balanced(svg, false);
        holds(svg, "#`t…"); /* the rest is left out: it is long */
        lf_free(svg);
    }
    lf_free(script);
    lf_free(page);
    lf_free(set);
}

/* Numbers that no axis has room for, and a cell with nothing. */
static void strange_numbers(void **state) {
    (void)state;
    static const run runs[] = {{"a", "pissa", 1e-3, 1, 1e308, 0.5, 1e308, NULL},
                               {"b", "pissa", 1e-2, 1, -1e308, 0.5, -1, NULL},
                               {"c", "intermediate", 1e-3, 1, 0, 1e-9, 0, NULL},
                               {"d", "intermediate", 1e-2, 1, 5e-324, 1e300, 5e-324, NULL}};
    for (int language = 0; language < 2; language++) {
        char *set = make_set(language ? "strange-texts" : "strange", runs, 4, language);
        report(set);
        char *page = get_file(set, "report.html");
        is_balanced(page, true);
        lf_free(page);
        lf_free(set);
    }
}

static void no_memory_is_said(void **state) {
    (void)state;
    char *set = make_set("memory", two_inits + 2, 6, false); /* of both starts, one that diverged */
    setenv("PATH", "", 1);
    FILE *out = tmpfile();
    const int64_t live = lf_alloc_live();
    lf_status rc = LF_ENOMEM;
    for (int64_t n = 0; rc && n < 200000; n += 1 + n / 12) {
        lf_err err = {0};
        lf_alloc_fail_after(n);
        rc = lf_report_set(set, NULL, n % 2, out, &err);
        lf_alloc_fail_after(-1);
        if (rc && rc != LF_ENOMEM) fail_msg("allocation %lld: %s", (long long)n, err.message);
        assert_int_equal(lf_alloc_live(), live);
    }
    setenv("PATH", search_path, 1);
    assert_int_equal(rc, LF_OK);
    fclose(out);
    lf_free(set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bands_are_of_their_kind),
        cmocka_unit_test(numbers_of_tics_are_short),
        cmocka_unit_test(rates_are_as_people_write_them),
        cmocka_unit_test(log_axes_have_tics),
        cmocka_unit_test(every_number_is_in_the_csv),
        cmocka_unit_test(pictures_are_whole),
        cmocka_unit_test(starts_as_they_are_known),
        cmocka_unit_test(shades_go_from_dark_to_light),
        cmocka_unit_test(the_tradeoff_points_right_and_up),
        cmocka_unit_test(scripts_hold_true_bands),
        cmocka_unit_test(curves_have_room),
        cmocka_unit_test(confusion_is_drawn),
        cmocka_unit_test(confusion_of_too_little_goes),
        cmocka_unit_test(without_gnuplot_all_else_is_there),
        cmocka_unit_test(quotes_do_not_spoil_pictures),
        cmocka_unit_test(gnuplot_is_not_the_folders),
        cmocka_unit_test(what_was_wrong_with_gnuplot_is_said),
        cmocka_unit_test(gnuplot_is_spared_the_locale),
        cmocka_unit_test(a_picture_that_found_no_room_is_told_of),
        cmocka_unit_test(links_and_pipes_in_a_folder_are_replaced),
        cmocka_unit_test(what_is_no_file_is_not_read),
        cmocka_unit_test(texts_of_others_command_nobody),
        cmocka_unit_test(legends_tell_series_apart),
        cmocka_unit_test(shared_parts_are_left_out),
        cmocka_unit_test(unknown_starts_have_no_position),
        cmocka_unit_test(other_starts_are_curves_of_their_own),
        cmocka_unit_test(notes_name_what_is_drawn),
        cmocka_unit_test(pictures_of_too_little_go),
        cmocka_unit_test(page_of_a_set_stands_alone),
        cmocka_unit_test(one_json_object),
        cmocka_unit_test(a_folder_to_be_read_only),
        cmocka_unit_test(page_of_a_run),
        cmocka_unit_test(only_plain_drawings_are_shown),
        cmocka_unit_test(the_verb),
        cmocka_unit_test(text_of_a_script_means_itself),
        cmocka_unit_test(hostile_text_stays_text),
        cmocka_unit_test(strange_numbers),
        cmocka_unit_test(no_memory_is_said),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
