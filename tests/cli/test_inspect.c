/* What files and folders are: of each kind of what.def one that is whole and one that is not, what nobody knows, and
 * the small inputs from elsewhere that once did harm. */
#define _GNU_SOURCE
#include "cli/cli_fixture.h"

#define TRAIN "train --model $M --threads 2 --r 2 --per_device_train_batch_size 4 --train_data data "
#define G     LF_TEST_DIR "/golden/"

static void shell(const char *command) {
    if (run_shell(text("cd %s && { %s; } 2>&1", root, command))) fail_msg("%s: %s", command, output);
}

/* `whole` is of the kind `id`, and says this; what `damage` leaves is still of that kind, and has this problem. */
static const struct {
    const char *id, *make, *whole, *says, *damage, *problem;
} cases[] = {
    {"checkpoint", "", "run/checkpoint-2", "\"global_step\": 2", "echo >> d/trainer_state.json",
     "trainer_state.json: is damaged"},
    {"adapter", "", "run/adapter", "\"r\": 4", "head -c 900 run/adapter/*.safetensors > d/adapter_model.safetensors",
     "the download complete?"},
    {"sweep", "", "sweep", "\"points\": 2, \"version\"", "echo '{' > d/sweep.json", "d/sweep.json"},
    {"sequence", "", "seq", "\"tasks\": 2", "echo '{' > d/continual.json", "d/continual.json"},
    {"run", "", "run", "\"run\": \"finished\"", "echo '{' > d/all_results.json", "d/all_results.json"},
    {"model", "", G "vit-base", "\"model_type\": \"vit\"",
     "sed -i 's/hidden_size\": 32/hidden_size\": 64/' d/config.json", "expected shape [1, 1, 64]"},
    {"runs", "mkdir many && cp -r run many/one && cp -r run many/two && rm many/two/all_results.json", "many",
     "\"runs\": 2, \"finished\": 1", NULL, NULL},
    {"adapters", "mkdir some && cp -r run/adapter some/one && cp -r run/adapter some/two", "some", "\"adapters\": 2",
     NULL, NULL},
    {"stored", "", "cache", "\"results\": ", "for f in d/*.safetensors; do head -c 100 $f > x; mv x $f; done",
     "the download complete?"},
    {"tokenizer_folder", "mkdir tok && cp " G "tokenizer/gpt2.json tok/tokenizer.json", "tok",
     "\"vocab_size\": ", "echo '{}' > d/tokenizer.json", "d/tokenizer.json"},
    {"idx_folder",
     "mkdir idx && { printf '\\0\\0\\10\\3\\0\\0\\0\\2\\0\\0\\0\\2\\0\\0\\0\\2'; printf '12345678'; } > "
     "idx/train-images-idx3-ubyte && { printf '\\0\\0\\10\\1\\0\\0\\0\\2'; printf '\\0\\1'; } > "
     "idx/train-labels-idx1-ubyte",
     "idx", "\"train\": {\"examples\": 2, \"classes\": 2}",
     "printf '\\0\\0\\10\\3\\0\\0\\0\\2\\377\\377\\377\\377\\377\\377\\377\\3771' > d/train-images-idx3-ubyte",
     "d/train-images-idx3-ubyte"},
    {"pictures", "", "data", "\"pictures\": 60, \"other_files\": 0, \"train\": {\"examples\": 33, \"classes\": 3}",
     "echo text > d/val/bee/x.jpg", "d/val/bee/x.jpg: not a picture that can be decoded"},
    {"texts",
     "mkdir texts && printf '{\"text\": \"a\"}\\n{\"text\": \"bc\"}\\n' > texts/train.jsonl && cp "
     "texts/train.jsonl texts/test.jsonl",
     "texts", "\"records\": 2", "echo '{\"text\": 1e}' >> d/test.jsonl", "d/test.jsonl: line 3"},
    {"safetensors", "", "run/adapter/adapter_model.safetensors", "\"tensors\": ", "truncate -s -4 $P",
     "the download complete?"},
    {"gguf",
     "{ printf 'GGUF\\3\\0\\0\\0\\1\\0\\0\\0\\0\\0\\0\\0\\1\\0\\0\\0\\0\\0\\0\\0\\24\\0\\0\\0\\0\\0\\0\\0"
     "general.architecture\\10\\0\\0\\0\\5\\0\\0\\0\\0\\0\\0\\0llama\\1\\0\\0\\0\\0\\0\\0\\0t\\1\\0\\0\\0"
     "\\2\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0'; head -c 34 /dev/zero; } > m.gguf",
     "m.gguf", "\"architecture\": \"llama\", \"tensors\": 1, \"numbers\": 2, \"tensors_of\": {\"F32\": 1}",
     "truncate -s -1 $P", "is the download complete?"},
    {"idx", "", "idx/train-images-idx3-ubyte", "\"sizes\": [2, 2, 2]", "truncate -s -1 $P",
     "is the download complete?"},
    {"picture", "", "data/train/bee/00.ppm", "\"format\": \"PNM\"", "truncate -s 40 $P", "not a picture that can be"},
    {"parquet", "", G "parquet/small.parquet", "\"rows\": ", "truncate -s -9 $P", "small.parquet: "},
    {"tokenizer", "", "tok/tokenizer.json", "\"vocab_size\": ", "sed -i 's/\"BPE\"/\"XYZ\"/' $P", "XYZ"},
    {"json", "", "run/config.json", "\"what\": \"the configuration of a run\"", "echo '{\"a\": 1, \"a\": 2}' > $P",
     "d/config.json"},
    {"metrics", "", "run/metrics.jsonl", "\"last_step\": 2", "echo '{\"step\":' >> $P", "d/metrics.jsonl: line "},
    {"figures", "", "seq/matrix.csv", "\"rows\": 2, \"columns\": 4", "echo '1,2,3' >> $P", "d/matrix.csv: line 4"},
    {"records", "printf 'text,label\\na,x\\nb,y\\n' > t.csv", "t.csv", "\"records\": 2, \"classes\": 2",
     "echo 'c,d,e' >> $P", "d/t.csv: line 4"},
    {"packed", "head -c 5000 /dev/zero | gzip > zeros.gz", "zeros.gz", "\"unpacked_bytes\": 5000", "truncate -s -3 $P",
     "zeros.gz: "},
    {"not_read", NULL, NULL, NULL, "printf 'SQLite format 3\\0' > $P", "an SQLite database"},
    {"text", "printf '# lines\\nof text\\n' > Makefile", "Makefile", "\"lines\": 2", NULL, NULL},
};

static void is_of_kind(const char *path, const char *id) {
    said(text("{\"found\": [{\"path\": \"%s\", \"kind\": \"%s\", ", path, id));
}

/* A copy of what is whole, of a file under its own name; where it is. */
static const char *copy_for_damage(const char *whole) {
    shell("rm -rf d");
    if (!whole) return "d";
    const bool folder = lf_is_dir(*whole == '/' ? whole : text("%s/%s", root, whole));
    shell(folder ? text("cp -rL %s d", whole) : text("mkdir d && cp %s d", whole));
    return folder ? "d" : text("d/%s", lf_path_base(whole));
}

static void test_every_kind(void **state) {
    (void)state;
    enum { N = sizeof cases / sizeof *cases };
    static const char *const ids[] = {
#define LF_WHAT(id, folder, said) #id,
#include "tools/what.def"
#undef LF_WHAT
    };
    assert_int_equal(N, sizeof ids / sizeof *ids);
    for (size_t i = 0; i < N; i++) {
        assert_string_equal(cases[i].id, ids[i]);
        if (cases[i].whole) {
            if (*cases[i].make) shell(cases[i].make);
            must(run("inspect %s --json", cases[i].whole), 0);
            is_of_kind(cases[i].whole, cases[i].id);
            said(cases[i].says);
            must(run("inspect %s", cases[i].whole), 0);
            said(text("%s: ", cases[i].whole));
        }
        if (!cases[i].damage) continue;
        const char *path = copy_for_damage(cases[i].whole);
        shell(text("P=%s; %s", path, cases[i].damage));
        must(run("inspect %s --json 2>/dev/null", path), 3);
        is_of_kind(path, cases[i].id);
        said(cases[i].problem);
        must(run("inspect %s", path), 3);
        said("PROBLEM");
    }
}

/* All that a sweep of sequences, a run and a report write is known, and none of it is found to be wrong. */
static void test_what_is_written(void **state) {
    (void)state;
    must(run("sweep tasks.json --model $M --threads 2 --r 2 --batch_size 4 --max_steps 1 --between merge --output_dir "
             "sweeps --sweep '{\"seed\": [1, 2]}'"),
         0);
    must(run("inspect sweeps sweeps/runs --json"), 0);
    said("\"path\": \"sweeps\", \"kind\": \"sweep\", \"said\": \"the folder of a sweep\", \"facts\": {");
    said("\"runs\": 2, \"finished\": 2, \"failed\": 0");
    said("\"path\": \"sweeps/runs\", \"kind\": \"runs\"");
    must(run("continual tasks.json --model $M --threads 2 --r 2 --batch_size 4 --max_steps 1 --heads task --output_dir "
             "heads"),
         0);
    must(run("inspect sweeps/runs/seed=1/after-02-two heads/after-02-two heads/after-02-two/heads --json"), 0);
    said("\"adapters\": 1, \"heads\": 0, \"model\": true");
    said("\"adapters\": 0, \"heads\": 2, \"model\": false");
    said("\"adapters\": 2, \"heads\": 0, \"model\": false");
    static const char *const writes[] = {"report sweeps", "report run", "report heads",
                                         "spectrum --model $M --adapter run/adapter --output_dir spectrum"};
    for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) must(run("%s", writes[i]), 0);
    shell("find run heads sweeps spectrum -name '*.csv' -o -name metrics.jsonl | sort > written");
    must(run("inspect $(cat written) >said; R=$?; sed 's/: expected the fields.*; found/: found/' said | grep -e "
             "PROBLEM; grep '^[^ ]' said; exit $R"),
         0);
    assert_null(strstr(output, "a data file"));
    for (const char *const *name = (const char *const[]){"matrix", "tasks", "curves", "training", "results", "summary",
                                                         "spectrum", "singular-values", "update-map", NULL};
         *name; name++)
        said(text("/%s.csv: a table of figures\n", *name));
    said("run/metrics.jsonl: what a run measured, step by step\n");
    /* another's, of the same name */
    shell("mkdir -p own && printf 'text,label\na,x\nb,y\n' > own/results.csv");
    must(run("inspect own/results.csv"), 0);
    said("own/results.csv: a data file\n");
}

/* Several at once; the first problems in full, and how many more there are. */
static void test_many(void **state) {
    (void)state;
    shell("printf 'text,label\\na,x\\nb,y\\n' > two.csv && mkdir -p tok && cp " G
          "tokenizer/gpt2.json tok/tokenizer.json && cp -r data bad && for i in 1 2 3 4 5; do echo text > "
          "bad/train/bee/$i.png; done");
    must(run("inspect two.csv bad tok"), 3);
    said("two.csv: a data file\n");
    said("tok: a tokenizer\n");
    said("bad/train/bee/3.png: ");
    assert_null(strstr(output, "bad/train/bee/4.png"));
    said("more_problems              2\n");
    said("lora-ft inspect: 5 problems\n");
}

static void test_what_nobody_knows(void **state) {
    (void)state;
    static const struct {
        const char *make, *says;
    } unknown[] = {
        {"true", "d: no such file or folder"},
        {"mkdir d", "d: an empty folder"},
        {"mkdir d && printf '\\1\\2' > d/x", "d: a folder of nothing that is known: 1 names, the first of them 'x'"},
        {": > d", "d: the file is empty"},
        {"printf '\\1\\2\\3' > d", "d: a file of no kind that is known; it begins with the bytes 01 02 03"},
        {"mkfifo d", "d: neither a file nor a folder"},
    };
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        shell("rm -rf d");
        shell(unknown[i].make);
        must(run("inspect d"), 3);
        said(unknown[i].says);
        must(run("inspect d --json 2>/dev/null"), 3);
        said("\"kind\": null");
    }
    must(run("inspect"), 2);
    must(run("inspect d --model $M"), 2);
}

/* What is read of records: chats without a template, a packed file, plain text, a list of JSON, Parquet's columns. */
static void test_records(void **state) {
    (void)state;
    shell(
        "printf '{\"messages\": [{\"role\": \"user\", \"content\": \"hey\"}, {\"role\": \"assistant\", \"content\": "
        "\"ho\"}]}\\n' > chat.jsonl && gzip -k chat.jsonl && printf '[{\"text\": \"a\"}]' > list.json && echo hello > "
        "plain.txt && printf '{\"text\": \"a\"}\\n{\"other\": 1}\\n{\"text\": [1]}\\n' > some.jsonl");
    must(run("inspect chat.jsonl chat.jsonl.gz list.json plain.txt " G "parquet/flat-v1-none.parquet --json"), 0);
    said("\"layout\": \"messages\", \"records\": 1, \"longest_bytes\": 5");
    said("\"path\": \"chat.jsonl.gz\", \"kind\": \"records\"");
    said("\"path\": \"list.json\", \"kind\": \"records\"");
    said("\"columns\": [");
    must(run("inspect some.jsonl"), 3);
    said("some.jsonl: line 2");
    said("some.jsonl: line 3");
    said("lora-ft inspect: 2 problems");
}

/* Small inputs that once did harm: a GIF of 35 bytes that claims 2.1 GB, sizes whose product overflows, a tokenizer
 * that gives no token, a drawing with what a browser would run. Each is looked at, used, and ends in one line. */
static void test_inputs_that_did_harm(void **state) {
    (void)state;
    static const struct {
        const char *use, *says;
        int code;
    } uses[] = {
        {"inspect bomb", "13370 x 13370 pixels in a file of 35 bytes", 3},
        {"train --model $M --train_data bomb --max_steps 1 --output_dir h1", "13370 x 13370 pixels", 3},
        {"inspect sizes", "t10k-images-idx3-ubyte: 1 pictures of 4294967295 x 4294967295", 3},
        {"inspect sizes/t10k-images-idx3-ubyte", "is the download complete?", 3},
        {"train --model $M --train_data '{\"path\": \"sizes\", \"split\": \"test\"}' --max_steps 1 --output_dir h2",
         "1 pictures of 4294967295 x 4294967295", 3},
        {"inspect no-token", "no-token", 3},
        {"inspect no-token/tokenizer.json", "no-token/tokenizer.json", 3},
        {"train --init_model llama.json --method full --tokenizer no-token --train_data texts/train.jsonl --max_steps "
         "1 "
         "--output_dir h3",
         "no-token", 3},
        {"inspect drawn", "the folder of a run", 0},
        {"report drawn", "report:", 0},
    };
    shell("mkdir -p bomb/a bomb/b && printf "
          "'GIF89a:4:4\\200\\0\\0\\0\\0\\0\\377\\377\\377,\\0\\0\\0\\0\\1\\0\\1\\0\\0\\2\\2D\\1\\0;' > bomb/a/0.gif && "
          "cp bomb/a/0.gif bomb/b && [ $(wc -c < bomb/a/0.gif) -eq 35 ]");
    shell("mkdir sizes && printf '\\0\\0\\10\\3\\0\\0\\0\\1\\377\\377\\377\\377\\377\\377\\377\\377' > "
          "sizes/t10k-images-idx3-ubyte && printf '\\0\\0\\10\\1\\0\\0\\0\\1\\0' > sizes/t10k-labels-idx1-ubyte");
    shell("mkdir no-token && echo '{\"model\":{\"vocab\":{},\"merges\":[]}}' > no-token/tokenizer.json && cp " G
          "lm-llama/config.json llama.json");
    shell(
        "cp -r run drawn && echo '<svg width=\"10\" height=\"10\" xmlns=\"http://www.w3.org/2000/svg\"><g></g><img src "
        "=\"http://evil.example/track.png\"><p style=\"background:u&#114;l(http://evil.example/t3)\"></p><form "
        "action=\"java&#115;cript:alert(document.domain)\"></form></svg>' > drawn/spectrum.svg");
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
        must(run("%s", uses[i].use), uses[i].code);
        said(uses[i].says);
        int lines = 0;
        for (const char *at = output; (at = strstr(at, "lora-ft ")); at++) lines += at == output || at[-1] == '\n';
        assert_int_equal(lines, uses[i].code != 0);
    }
    size_t n;
    char *page = contents("drawn/report.html", &n);
    assert_null(strstr(page, "evil.example"));
    lf_free(page);
}

/* A class that cannot be looked at, on a disk that fails or behind a folder that may not be entered, is no class that
 * is left out. */
static void test_what_cannot_be_looked_at(void **state) {
    (void)state;
    shell("cp -r data unseen && ln -s $(head -c 300 /dev/zero | tr '\\0' x) unseen/train/dog");
    must(run("train --model $M --train_data unseen --max_steps 1 --output_dir unseen1"), 1);
    said("lora-ft train: unseen/train/dog: cannot look at it: File name too long\n");
    must(run("inspect unseen"), 3);
    said("unseen/train/dog: cannot look at it");
}

/* An adapter's own words, keys among them, and those of the command line: none commands the terminal. */
static void test_words_that_command(void **state) {
    (void)state;
    shell("cp -r run/adapter evil && sed -i 's/\"base_model_name_or_path\": \"[^\"]*\"/\"base_model_name_or_path\": "
          "\"m\\\\u001b[31mred\\\\u001b]0;title\\\\u0007\\\\u009b1m\\\\u202e\", \"task\\\\u001b[5m\": "
          "\"x\\\\u001b[6m\"/' evil/adapter_config.json && sed -i 's/\"run\": {/\"run\": {\"\\\\u001b[7m\": "
          "1,/' evil/lora_ft.json && grep -q 'u001b]0;title' evil/adapter_config.json && grep -q 'u001b.7m' "
          "evil/lora_ft.json");
    must(run("inspect --adapter evil"), 0);
    said("m?[31mred?]0;title??1m?\n");
    said("task?[5m");
    assert_null(strpbrk(output, "\033\007\302\342"));
    must(run("inspect --adapter evil --json"), 0);
    said("m\\u001b[31mred\\u001b]0;title\\u0007"); /* as the file has it */
    must(run("inspect evil"), 0);
    assert_null(strpbrk(output, "\033\007\302\342"));
    static const char *const typed[] = {"help", "", "version", "help --man"};
    for (size_t i = 0; i < sizeof typed / sizeof *typed; i++) {
        must(run("%s \"$(printf 'x\\033[31my')\"", typed[i]), 2);
        said("x?[31my");
        assert_null(strchr(output, '\033'));
    }
}

static int setup_runs(void **state) {
    if (setup(state)) return 1;
    shell("echo '{\"tasks\": [{\"name\": \"one\", \"train_data\": \"data\"}, {\"name\": \"two\", \"train_data\": "
          "\"data\"}]}' > tasks.json");
    must(run(TRAIN "--max_steps 2 --init_lora_weights intermediate --decomposition_cache cache --output_dir run"), 0);
    must(run("sweep --model $M --train_data data --threads 2 --r 2 --max_steps 1 --output_dir sweep --sweep "
             "'{\"seed\": [1, 2]}'"),
         0);
    must(run("continual tasks.json --model $M --threads 2 --r 2 --batch_size 4 --max_steps 1 --output_dir seq"), 0);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind),
        cmocka_unit_test(test_what_is_written),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_what_nobody_knows),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_inputs_that_did_harm),
        cmocka_unit_test(test_what_cannot_be_looked_at),
        cmocka_unit_test(test_words_that_command),
    };
    return cmocka_run_group_tests(tests, setup_runs, teardown);
}
