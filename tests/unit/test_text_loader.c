/* Batches of text: what they hold is a function of (seed, epoch, place), whatever the number of workers; packed rows
 * hold the same documents as rows of their own. */
#define _POSIX_C_SOURCE 200809L
#include "text_fixture.h"

#include "base/rng.h"
#include "data/text/internal.h"
#include "data/text/tokens.h"

enum { RECORDS = 101, LONGEST = 32 };

static lf_text_dataset *pairs; /* RECORDS of prompt and completion, of many lengths, some longer than LONGEST */

static int setup(void **state) {
    if (scratch_make(state)) return -1;
    FILE *f = fopen(in_scratch("pairs.jsonl"), "w");
    const lf_rng_key key = lf_rng_make(1, LF_RNG_TEST, 0);
    for (uint64_t i = 0; f && i < RECORDS; i++)
        fprintf(f, "{\"prompt\": \"%d:\", \"completion\": \"%.*s\"}\n", (int)i,
                (int)lf_rng_below(key, i, i % 4 ? LONGEST / 2 : LONGEST + 8),
                "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
    if (!f || fclose(f)) return -1;
    pairs = open_text("pairs.jsonl");
    return 0;
}

static int teardown(void **state) {
    lf_text_dataset_free(pairs);
    return scratch_remove(state);
}

static stand_in tokenizer = {.adds_bos = true};

static lf_status try_loader(lf_text_loader **out, const lf_text_dataset *d, lf_text_loader_opts o, lf_err *err) {
    const lf_text_encoder encoder = encoder_over(&tokenizer);
    if (!o.workers) o.workers = 2;
    if (!o.batch_size) o.batch_size = 4;
    if (!o.epochs) o.epochs = 1;
    if (!o.max_seq_length) o.max_seq_length = LONGEST;
    *out = NULL;
    return lf_text_loader_new(out, d, &encoder, &o, err);
}

static lf_text_loader *loader_over(const lf_text_dataset *d, lf_text_loader_opts o) {
    lf_err err = {0};
    lf_text_loader *l;
    assert_ok(try_loader(&l, d, o, &err), err);
    return l;
}

static const lf_text_batch *next(lf_text_loader *l) {
    const lf_text_batch *b;
    lf_err err = {0};
    assert_ok(lf_text_loader_next(l, &b, &err), err);
    return b;
}

/* ---- what a batch promises ----------------------------------------------------------------------------------------
 */

static void check_promises(const lf_text_batch *b, int64_t most) {
    int64_t targets = 0, tokens = 0, longest = 0, documents = 0;
    for (int64_t r = 0; r < b->B; r++) {
        int64_t length = 0;
        for (int64_t t = 0; t < b->T; t++) {
            const int64_t i = r * b->T + t;
            const bool same = t + 1 < b->T && b->document[i + 1] == b->document[i];
            assert_int_equal(b->positions[i], t - b->document[i]);
            assert_true(b->document[i] == t || (t > 0 && b->document[i] == b->document[i - 1]));
            if (b->labels[i] >= 0) {
                assert_true(same);
                assert_int_equal(b->labels[i], b->ids[i + 1]);
                targets++;
            }
            if (b->ids[i] == PAD) continue;
            tokens++;
            length = t + 1;
            documents += b->document[i] == t;
        }
        for (int64_t t = length; t < b->T; t++) assert_int_equal(b->document[r * b->T + t], length);
        if (length > longest) longest = length;
    }
    assert_int_equal(targets, b->n_targets);
    assert_int_equal(tokens, b->n_tokens);
    assert_int_equal(documents, b->n_documents);
    const int64_t rounded = (longest + 7) / 8 * 8;
    assert_int_equal(b->T, rounded < most ? rounded : most);
}

static uint64_t mix(uint64_t h, const void *bytes, size_t size) {
    const unsigned char *s = bytes;
    for (size_t i = 0; i < size; i++) h = (h ^ s[i]) * 0x100000001b3u; /* FNV-1a */
    return h;
}

static uint64_t digest(const lf_text_batch *b) {
    const size_t cells = (size_t)(b->B * b->T) * sizeof(int32_t);
    const int64_t sizes[] = {b->B, b->T, b->n_targets, b->n_tokens, b->n_documents, b->epoch, b->number};
    uint64_t h = mix(0xcbf29ce484222325u, sizes, sizeof sizes);
    h = mix(h, b->ids, cells);
    h = mix(h, b->labels, cells);
    h = mix(h, b->positions, cells);
    h = mix(h, b->document, cells);
    return mix(h, b->indices, (size_t)b->B * sizeof *b->indices);
}

/* ---- unpacked rows ------------------------------------------------------------------------------------------------
 */

static void test_rows(void **state) {
    (void)state;
    put_text("two.jsonl",
             "{\"prompt\": \"q:\", \"completion\": \"ab\"}\n{\"prompt\": \"longer:\", \"completion\": \"c\"}\n");
    lf_text_dataset *d = open_text("two.jsonl");
    lf_text_loader *l = loader_over(d, (lf_text_loader_opts){.training = true, .max_seq_length = 11});
    const lf_text_batch *b = next(l);
    const int32_t ids[] = {BOS, 'q', ':', 'a', 'b', EOS, PAD, PAD, PAD, PAD, PAD,
                           BOS, 'l', 'o', 'n', 'g', 'e', 'r', ':', 'c', EOS, PAD};
    const int32_t labels[] = {-1, -1, 'a', 'b', EOS, -1, -1, -1,  -1,  -1, -1,
                              -1, -1, -1,  -1,  -1,  -1, -1, 'c', EOS, -1, -1};
    const int32_t positions[] = {0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0};
    const int32_t document[] = {0, 0, 0, 0, 0, 0, 6, 6, 6, 6, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10};
    assert_int_equal(b->B, 2);
    assert_int_equal(b->T, 11); /* not 16: max_seq_length is the bound */
    assert_memory_equal(b->ids, ids, sizeof ids);
    assert_memory_equal(b->labels, labels, sizeof labels);
    assert_memory_equal(b->positions, positions, sizeof positions);
    assert_memory_equal(b->document, document, sizeof document);
    assert_int_equal(b->n_targets, 5);
    assert_int_equal(b->n_tokens, 16);
    assert_null(next(l));
    lf_text_loader_free(l);
    l = loader_over(d, (lf_text_loader_opts){.batch_size = 1});
    assert_int_equal(next(l)->T, 8); /* each batch as its own rows need: 5 tokens, and 9 */
    assert_int_equal(next(l)->T, 16);
    lf_text_loader_free(l);
    lf_text_dataset_free(d);
}

/* Three documents of 4, 14 and 5 tokens (with BOS), of which 8 are allowed. */
static void test_overlong(void **state) {
    (void)state;
    static const struct {
        lf_text_overlong overlong;
        bool packing;
        int64_t rows, documents, skipped, truncated, tokens;
    } cases[] = {{LF_TEXT_TRUNCATE, false, 3, 3, 0, 1, 17},
                 {LF_TEXT_TRUNCATE, true, 3, 3, 0, 1, 17},
                 {LF_TEXT_SKIP, false, 2, 2, 1, 0, 9},
                 {LF_TEXT_SKIP, true, 2, 2, 1, 0, 9}};
    put_text("long.jsonl", "{\"prompt\": \"q:\", \"completion\": \"a\"}\n{\"prompt\": \"l:\", \"completion\": "
                           "\"0123456789a\"}\n{\"prompt\": \"r:\", \"completion\": \"bc\"}\n");
    lf_text_dataset *d = open_text("long.jsonl");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lf_text_loader *l = loader_over(d, (lf_text_loader_opts){.batch_size = 1,
                                                                 .max_seq_length = 8,
                                                                 .scan = true,
                                                                 .overlong = cases[i].overlong,
                                                                 .packing = cases[i].packing,
                                                                 .epochs = 2});
        const lf_text_batch *b;
        int64_t tokens = 0, at = 0;
        assert_int_equal(lf_text_loader_rows_per_epoch(l), cases[i].rows);
        assert_int_equal(lf_text_loader_count(l), cases[i].documents);
        for (; (b = next(l)); at++) {
            tokens += b->n_tokens;
            if (cases[i].overlong == LF_TEXT_SKIP) assert_int_not_equal(b->indices[0], 1); /* which it would be else */
        }
        const lf_text_stats stats = lf_text_loader_stats(l);
        assert_int_equal(at, 2 * cases[i].rows);
        assert_int_equal(tokens, 2 * cases[i].tokens);
        assert_int_equal(stats.scan_skipped, cases[i].skipped);
        assert_int_equal(stats.scan_truncated, cases[i].truncated);
        lf_text_loader_free(l);
    }
    lf_text_loader *l;
    lf_err err = {0};
    assert_says(
        try_loader(&l, d, (lf_text_loader_opts){.max_seq_length = 8, .scan = true, .overlong = LF_TEXT_STOP}, &err),
        LF_EDATA, err, "long.jsonl: line 2: 14 tokens, more than max_seq_length 8");
    assert_says(try_loader(&l, d, (lf_text_loader_opts){.max_seq_length = 3, .overlong = LF_TEXT_SKIP}, &err), LF_EDATA,
                err, "each of 3 documents is longer than max_seq_length 3");
    /* A prompt that leaves nothing of its answer: an error where texts are cut, counted where they are left out. */
    put_text("prompt.jsonl",
             "{\"prompt\": \"q:\", \"completion\": \"a\"}\n{\"prompt\": \"0123456789\", \"completion\": "
             "\"a\"}\n");
    lf_text_dataset *p = open_text("prompt.jsonl");
    assert_says(try_loader(&l, p, (lf_text_loader_opts){.max_seq_length = 8, .scan = true}, &err), LF_EDATA, err,
                "leaves nothing of the answer");
    l = loader_over(p, (lf_text_loader_opts){.max_seq_length = 8, .overlong = LF_TEXT_SKIP});
    assert_int_equal(lf_text_loader_stats(l).scan_skipped, 1);
    lf_text_loader_free(l);
    lf_text_dataset_free(p);
    lf_text_dataset_free(d);
}

static void test_promises(void **state) {
    (void)state;
    for (int how = 0; how < 8; how++) {
        lf_text_loader *l = loader_over(
            pairs,
            (lf_text_loader_opts){
                .training = how & 1, .packing = (how & 2) != 0, .shuffle = (how & 4) != 0, .epochs = 2, .seed = 5});
        const lf_text_batch *b;
        int64_t batches = 0;
        while ((b = next(l))) {
            check_promises(b, LONGEST);
            assert_int_equal(b->epoch, batches / lf_text_loader_batches_per_epoch(l));
            assert_int_equal(b->number, batches % lf_text_loader_batches_per_epoch(l));
            batches++;
        }
        assert_int_equal(batches, 2 * lf_text_loader_batches_per_epoch(l));
        assert_int_equal(lf_text_loader_stats(l).documents, 2 * RECORDS);
        lf_text_loader_free(l);
    }
}

/* ---- order --------------------------------------------------------------------------------------------------------
 */

static void test_workers_and_resuming_do_not_matter(void **state) {
    (void)state;
    enum { MOST = 3 * 26 };
    for (int how = 0; how < 3; how++) {
        const bool packing = how == 1;
        const int64_t together = how == 2 ? 8 : 0;
        uint64_t want[MOST];
        int64_t per_epoch = 0;
        for (int64_t workers = 1; workers <= 4; workers += 3) {
            const lf_text_loader_opts o = {.epochs = 3,
                                           .shuffle = true,
                                           .seed = 4,
                                           .workers = workers,
                                           .packing = packing,
                                           .together = together,
                                           .training = true};
            lf_text_loader *l = loader_over(pairs, o);
            per_epoch = lf_text_loader_batches_per_epoch(l);
            assert_true(3 * per_epoch <= MOST);
            for (int64_t i = 0; i < 3 * per_epoch; i++) {
                const uint64_t h = digest(next(l));
                if (workers == 1) want[i] = h;
                assert_true(h == want[i]);
            }
            assert_null(next(l));
            lf_text_loader_free(l);
        }
        for (int64_t from = 0; from <= 3 * per_epoch; from += 2) {
            const lf_text_loader_opts o = {.epochs = 3 - from / (per_epoch + 1),
                                           .shuffle = true,
                                           .seed = 4,
                                           .packing = packing,
                                           .together = together,
                                           .training = true,
                                           .first_epoch = from / (per_epoch + 1),
                                           .first_batch = from % (per_epoch + 1)}; /* also the very end of an epoch */
            lf_text_loader *l = loader_over(pairs, o);
            for (int64_t i = o.first_epoch * per_epoch + o.first_batch; i < 3 * per_epoch; i++)
                assert_true(digest(next(l)) == want[i]);
            assert_null(next(l));
            lf_text_loader_free(l);
        }
    }
}

/* RECORDS rows in steps of `together`: in stretches, of which each goes from its longest row to its shortest. */
static void test_like_lengths_go_together(void **state) {
    (void)state;
    enum { TOGETHER = 8, STRETCH = RECORDS / (4 * TOGETHER) * TOGETHER };
    int64_t padding[2];
    for (int grouped = 0; grouped < 2; grouped++) {
        lf_text_loader *l = loader_over(
            pairs, (lf_text_loader_opts){
                       .epochs = 2, .shuffle = true, .seed = 7, .batch_size = 4, .together = grouped ? TOGETHER : 0});
        int64_t length[RECORDS], n = 0, longest = 0;
        bool seen[RECORDS] = {false};
        for (const lf_text_batch *b; (b = next(l)) && b->epoch == 0;)
            for (int64_t r = 0; r < b->B; r++, n++) {
                for (length[n] = 0; length[n] < b->T && b->ids[r * b->T + length[n]] != PAD;) length[n]++;
                if (length[n] > longest) longest = length[n];
                assert_false(seen[b->indices[r]]);
                seen[b->indices[r]] = true;
            }
        assert_int_equal(n, RECORDS);
        while (next(l)) continue;
        padding[grouped] = lf_text_loader_stats(l).positions - lf_text_loader_stats(l).tokens;
        int moved = 0; /* the longest of all and what stood first have changed places */
        for (int64_t i = 0; grouped && i + 1 < RECORDS; i++) moved += (i + 1) % STRETCH && length[i] < length[i + 1];
        assert_true(moved <= 1);
        if (grouped) assert_int_equal(length[0], longest);
        lf_text_loader_free(l);
    }
    assert_true(padding[1] * 2 < padding[0]);
}

/* As transformers 5.24 orders these lengths, of this permutation (get_length_grouped_indices with its randperm
 * replaced). */
static void test_group(void **state) {
    (void)state;
    enum { N = 19 };
    static const int32_t lengths[N] = {5, 3, 9, 9, 1, 7, 7, 7, 2, 30, 4, 4, 6, 8, 8, 30, 2, 1, 5};
    static const int64_t drawn[N] = {7, 18, 3, 11, 0, 15, 9, 5, 2, 14, 1, 6, 13, 17, 8, 4, 10, 16, 12};
    static const struct {
        int64_t together, want[N];
    } cases[] = {{2, {15, 7, 18, 11, 3, 9, 5, 0, 2, 14, 6, 1, 13, 8, 17, 4, 12, 10, 16}},
                 {4, {15, 7, 18, 11, 3, 9, 5, 0, 2, 14, 6, 1, 13, 8, 17, 4, 12, 10, 16}},
                 {30, {15, 9, 3, 2, 14, 13, 7, 5, 6, 12, 18, 0, 11, 10, 1, 8, 16, 17, 4}}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        int64_t order[N];
        lf_text_grouped room[N];
        memcpy(order, drawn, sizeof order);
        assert_true(lf_text_group_room(N, cases[c].together) <= N);
        lf_text_group(order, N, lengths, cases[c].together, room);
        assert_memory_equal(order, cases[c].want, sizeof order);
    }
}

static void test_epochs_differ(void **state) {
    (void)state;
    lf_text_loader *l = loader_over(pairs, (lf_text_loader_opts){.epochs = 2, .shuffle = true, .batch_size = RECORDS});
    bool seen[2][RECORDS] = {{0}};
    int64_t order[2][RECORDS];
    for (int e = 0; e < 2; e++) {
        const lf_text_batch *b = next(l);
        memcpy(order[e], b->indices, sizeof order[e]);
        for (int i = 0; i < RECORDS; i++) seen[e][b->indices[i]] = true;
        for (int i = 0; i < RECORDS; i++) assert_true(seen[e][i]);
    }
    assert_true(memcmp(order[0], order[1], sizeof order[0]) != 0);
    lf_text_loader_free(l);
}

/* ---- packing ------------------------------------------------------------------------------------------------------
 */

static int by_value(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Of each document: its ids, labels and positions, as one number. Sorted. */
static int64_t documents_of(lf_text_loader *l, uint64_t *out) {
    int64_t n = 0;
    const lf_text_batch *b;
    while ((b = next(l)))
        for (int64_t i = 0, t; i < b->B * b->T; i += t) {
            for (t = 1; (i + t) % b->T && b->document[i + t] == b->document[i]; t++) {
            }
            if (b->ids[i] == PAD) continue;
            const size_t size = (size_t)t * sizeof(int32_t);
            out[n++] = mix(mix(mix(0, b->ids + i, size), b->labels + i, size), b->positions + i, size);
        }
    qsort(out, (size_t)n, sizeof *out, by_value);
    return n;
}

static void test_packing_keeps_documents(void **state) {
    (void)state;
    for (int training = 0; training < 2; training++) {
        uint64_t alone[RECORDS], packed[RECORDS];
        lf_text_loader *a = loader_over(pairs, (lf_text_loader_opts){.training = training});
        lf_text_loader *p =
            loader_over(pairs, (lf_text_loader_opts){.training = training, .packing = true, .shuffle = true});
        assert_int_equal(documents_of(a, alone), RECORDS);
        assert_int_equal(documents_of(p, packed), RECORDS);
        assert_memory_equal(alone, packed, sizeof alone);
        const lf_text_stats s = lf_text_loader_stats(a), q = lf_text_loader_stats(p);
        assert_int_equal(s.targets, q.targets);
        assert_int_equal(s.tokens, q.tokens);
        assert_int_equal(s.truncated_documents, q.truncated_documents);
        assert_int_equal(s.truncated_tokens, q.truncated_tokens);
        assert_true(s.truncated_documents > 0 && s.truncated_tokens > s.truncated_documents);
        assert_int_equal(q.scan_tokens, q.tokens);
        assert_int_equal(q.scan_documents, RECORDS);
        assert_true(lf_text_loader_rows_per_epoch(p) < RECORDS);
        assert_true(q.tokens > q.positions * 9 / 10 && s.tokens < s.positions * 9 / 10);
        lf_text_loader_free(a);
        lf_text_loader_free(p);
    }
}

static void test_pack(void **state) {
    (void)state;
    enum { N = 5000, CAPACITY = 100 };
    static lf_text_kept documents[N];
    static int64_t order[N];
    const lf_rng_key key = lf_rng_make(2, LF_RNG_TEST, 0);
    int64_t total = 0;
    lf_err err = {0};
    lf_text_packing p;
    for (uint64_t i = 0; i < N; i++) total += documents[i].n = (int32_t)lf_rng_below(key, i, CAPACITY + 1);
    lf_rng_permutation(key, order, N);
    assert_ok(lf_text_pack(&p, documents, N, order, CAPACITY, &err), err);
    static int seen[N];
    assert_int_equal(p.begin[0], 0);
    for (int64_t r = 0; r < p.n_rows; r++) {
        int64_t size = 0;
        assert_true(p.begin[r] < p.begin[r + 1]);
        for (int64_t k = p.begin[r]; k < p.begin[r + 1]; k++) {
            size += documents[p.documents[k]].n;
            seen[p.documents[k]]++;
        }
        assert_true(size <= CAPACITY);
    }
    for (int i = 0; i < N; i++) assert_int_equal(seen[i], documents[i].n > 0);
    assert_true(total > p.n_rows * CAPACITY * 95 / 100);
    lf_text_packing_free(&p);
    const lf_text_kept few[] = {{.n = 6}, {.n = 5}, {.n = 4}, {.n = 0}, {.n = 5}};
    assert_ok(lf_text_pack(&p, few, 5, NULL, 10, &err), err);
    assert_int_equal(p.n_rows, 2);
    const int64_t want[] = {0, 2, 1, 4};
    assert_memory_equal(p.documents, want, sizeof want);
    lf_text_packing_free(&p);
}

/* ---- plain text ---------------------------------------------------------------------------------------------------
 */

/* Lines of several lengths, some blank, and a long stretch without any. */
static void put_book(const char *name) {
    FILE *f = fopen(in_scratch(name), "w");
    assert_non_null(f);
    for (int i = 0; i < 200; i++) fprintf(f, "%*d words\xc3\xa4 %s\n%s", i % 17 + 1, i, "and more", i % 7 ? "" : "\n");
    for (int i = 0; i < 700; i++) fprintf(f, "\xe2%c%c", 0x80 + i / 64, 0x80 + i % 64);
    fputs("\nend", f);
    assert_int_equal(fclose(f), 0);
}

static void test_windows(void **state) {
    (void)state;
    put_book("book.txt");
    char *text;
    size_t size;
    lf_err err = {0};
    lf_ids ids = {0};
    assert_ok(lf_file_read(&text, &size, in_scratch("book.txt"), &err), err);
    assert_ok(stand_in_encode(&tokenizer, text, size, true, &ids, &err), err);
    lf_free(text);
    lf_text_dataset *d = open_text("book.txt");
    lf_text_loader *l = loader_over(d, (lf_text_loader_opts){0});
    assert_int_equal(lf_text_loader_count(l), (ids.n + LONGEST - 1) / LONGEST);
    const lf_text_batch *b;
    int64_t at = 0;
    while ((b = next(l)))
        for (int64_t r = 0; r < b->B; r++) {
            const int64_t n = ids.n - at < LONGEST ? ids.n - at : LONGEST;
            assert_memory_equal(b->ids + r * b->T, ids.ids + at, (size_t)n * sizeof *ids.ids);
            for (int64_t t = 0; t + 1 < n; t++) assert_int_equal(b->labels[r * b->T + t], ids.ids[at + t + 1]);
            assert_int_equal(b->labels[r * b->T + n - 1], -1);
            at += n;
        }
    assert_int_equal(at, ids.n);
    lf_text_loader_free(l);

    /* In pieces, and through a file, it is the same stream. */
    const lf_text_encoder encoder = encoder_over(&tokenizer);
    lf_text_coder c;
    assert_ok(
        lf_text_coder_init(&c, &encoder, &(lf_text_encode_opts){.max_seq_length = LONGEST, .training = true}, &err),
        err);
    for (uint64_t piece = 50; piece < 5000; piece *= 3) {
        lf_text_scan scan;
        lf_text_tokens t = {0};
        assert_ok(lf_text_scan_run(&scan, d, &c, 3, piece % 2 ? 100 : 100000, piece, &err), err);
        assert_int_equal(lf_token_store_count(scan.store), ids.n + 1); /* EOS for training */
        assert_ok(lf_token_store_read(scan.store, 0, ids.n + 1, &t, &err), err);
        assert_memory_equal(t.ids, ids.ids, (size_t)ids.n * sizeof *ids.ids);
        assert_int_equal(t.ids[ids.n], EOS);
        lf_text_tokens_free(&t);
        lf_text_scan_free(&scan);
    }
    lf_text_coder_free(&c);
    lf_text_dataset_free(d);
    lf_ids_free(&ids);
}

static void test_windows_are_drawn(void **state) {
    (void)state;
    put_book("book.txt");
    lf_err err = {0};
    lf_text_dataset *all = open_text("book.txt"),
                    *d = open_with("book.txt", (lf_text_dataset_opts){.max_samples = 20, .seed = 3}), *held;
    enum { MOST = 1000 };
    static uint64_t whole[MOST], part[MOST];
    lf_text_loader *l = loader_over(all, (lf_text_loader_opts){0});
    const int64_t n = documents_of(l, whole);
    lf_text_loader_free(l);
    assert_true(n > 40 && n < MOST);
    assert_ok(lf_text_dataset_split(d, 0.25, 9, &held, &err), err);
    l = loader_over(d, (lf_text_loader_opts){0});
    assert_int_equal(documents_of(l, part), 15);
    lf_text_loader_free(l);
    l = loader_over(held, (lf_text_loader_opts){.packing = true});
    assert_int_equal(documents_of(l, part + 15), 5);
    lf_text_loader_free(l);
    for (int i = 0; i < 20; i++) {
        assert_non_null(bsearch(&part[i], whole, (size_t)n, sizeof *whole, by_value));
        for (int k = 0; k < i; k++) assert_true(part[i] != part[k]);
    }
    lf_text_dataset_free(all);
    lf_text_dataset_free(d);
    lf_text_dataset_free(held);
}

/* What stands in a window of the files below: a file's two letters, and whether it is the file's first. */
static void note_windows(lf_text_loader *l, int seen[30][2]) {
    const lf_text_batch *b;
    while ((b = next(l)))
        for (int64_t r = 0; r < b->B; r++) {
            const int32_t *row = b->ids + r * b->T;
            seen[row[1] - 'A'][row[0] != BOS]++;
        }
}

/* Where a file's tokens are one more than whole windows, the EOS of training would make a window more, and the two
 * sides of a split would not be parts of one list. */
static void test_held_out_windows_are_not_trained_on(void **state) {
    (void)state;
    for (int f = 0; f < 30; f++) {
        char name[32], text[2 * LONGEST + 1] = "";
        snprintf(name, sizeof name, "shelf/%02d.txt", f);
        memset(text, 'A' + f, 2 * LONGEST); /* and BOS: 2 LONGEST + 1 tokens */
        put_text(name, text);
    }
    lf_err err = {0};
    lf_text_dataset *d = open_text("shelf"), *held;
    assert_ok(lf_text_dataset_split(d, 0.25, 9, &held, &err), err);
    int seen[30][2] = {0}, held_out[30][2] = {0}, n = 0;
    lf_text_loader *l = loader_over(d, (lf_text_loader_opts){.training = true});
    note_windows(l, seen);
    lf_text_loader_free(l);
    l = loader_over(held, (lf_text_loader_opts){0});
    note_windows(l, held_out);
    lf_text_loader_free(l);
    for (int f = 0; f < 30; f++)
        for (int w = 0; w < 2; w++) {
            assert_int_equal(seen[f][w] + held_out[f][w], 1);
            n += held_out[f][w];
        }
    assert_int_equal(n, 15);
    lf_text_dataset_free(d);
    lf_text_dataset_free(held);
}

static void test_files_of_a_folder_are_apart(void **state) {
    (void)state;
    put_text("books/a.txt", "abc");
    put_text("books/b.txt", "\xef\xbb\xbf"
                            "de");
    put_text("books/c.txt", "");
    lf_text_dataset *d = open_text("books");
    lf_text_loader *l = loader_over(d, (lf_text_loader_opts){.training = true});
    const lf_text_batch *b = next(l);
    assert_int_equal(b->B, 2);
    assert_int_equal(b->T, 8);
    const int32_t want[] = {BOS, 'a', 'b', 'c', EOS, PAD, PAD, PAD, BOS, 'd', 'e', EOS, PAD, PAD, PAD, PAD};
    assert_memory_equal(b->ids, want, sizeof want);
    lf_text_loader_free(l);
    lf_text_dataset_free(d);
}

/* ---- what goes wrong ----------------------------------------------------------------------------------------------
 */

static void test_failure_in_its_place(void **state) {
    (void)state;
    lf_err err = {0};
    const lf_text_batch *b;
    char text[2048] = "";
    for (int i = 0; i < 20; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s\n",
                 i == 9 ? "{\"text\": 1" : "{\"text\": \"abc\"}");
    put_text("bad.jsonl", text);
    lf_text_dataset *d = open_text("bad.jsonl");
    for (int64_t workers = 1; workers <= 4; workers++) {
        lf_text_loader *l = loader_over(d, (lf_text_loader_opts){.workers = workers});
        for (int i = 0; i < 2; i++) assert_non_null(next(l));
        for (int i = 0; i < 2; i++) {
            assert_says(lf_text_loader_next(l, &b, &err), LF_EDATA, err, "bad.jsonl: line 10, column");
            assert_null(b);
        }
        lf_text_loader_free(l);
        assert_says(try_loader(&l, d, (lf_text_loader_opts){.workers = workers, .scan = true}, &err), LF_EDATA, err,
                    "bad.jsonl: line 10, column");
        assert_says(try_loader(&l, d, (lf_text_loader_opts){.workers = workers, .packing = true}, &err), LF_EDATA, err,
                    "bad.jsonl: line 10, column");
    }
    lf_text_dataset_free(d);
    put_bytes("bad.txt", "one\ntwo\n\xe2\x82", 10);
    d = open_text("bad.txt");
    lf_text_loader *l;
    assert_says(try_loader(&l, d, (lf_text_loader_opts){0}, &err), LF_EDATA, err,
                "bad.txt: line 3: byte 0xe2 is not UTF-8");
    put_text("bad.txt", "one\ntwo\n"); /* shorter than when it was opened */
    assert_says(try_loader(&l, d, (lf_text_loader_opts){0}, &err), LF_EDATA, err, "changed while it is read");
    lf_text_dataset_free(d);
    put_text("id.txt", "a@");
    d = open_text("id.txt");
    assert_says(try_loader(&l, d, (lf_text_loader_opts){0}, &err), LF_EDATA, err, "id.txt: token id 603 is outside");
    lf_text_dataset_free(d);
    assert_says(try_loader(&l, pairs, (lf_text_loader_opts){.batch_size = -1}, &err), LF_EUSAGE, err,
                "must be 1 or more");
}

static void test_documents_without_tokens(void **state) {
    (void)state;
    tokenizer.adds_bos = false;
    put_text("empty.jsonl", "{\"text\": \"\"}\n{\"text\": \"ab\"}\n{\"text\": \"\"}\n");
    lf_text_dataset *d = open_text("empty.jsonl");
    lf_text_loader *l = loader_over(d, (lf_text_loader_opts){.batch_size = 1});
    for (int i = 0; i < 3; i++) {
        const lf_text_batch *b = next(l);
        assert_int_equal(b->T, 8);
        assert_int_equal(b->n_targets, i == 1);
    }
    lf_text_loader_free(l);
    l = loader_over(d, (lf_text_loader_opts){.packing = true});
    assert_int_equal(lf_text_loader_rows_per_epoch(l), 1);
    lf_text_loader_free(l);
    lf_text_dataset_free(d);
    tokenizer.adds_bos = true;
}

static void test_failing_allocations(void **state) {
    (void)state;
    put_text("few.jsonl",
             "{\"prompt\": \"q:\", \"completion\": \"ab\"}\n{\"prompt\": \"r:\", \"completion\": \"c\"}\n");
    put_text("few.txt", "some plain text of a few words");
    const char *const files[] = {"few.jsonl", "few.txt"};
    for (int how = 0; how < 4; how++) {
        lf_text_dataset *d = open_with(files[how & 1], (lf_text_dataset_opts){.max_samples = 1});
        const int64_t before = lf_alloc_live();
        lf_status rc = LF_ENOMEM;
        for (int64_t k = 0; rc; k++) {
            lf_err err = {0};
            const lf_text_batch *b = NULL;
            lf_text_loader *l = NULL;
            lf_alloc_fail_after(k);
            rc = try_loader(&l, d, (lf_text_loader_opts){.packing = how > 1, .shuffle = true, .workers = 1}, &err);
            if (!rc) rc = lf_text_loader_next(l, &b, &err);
            lf_alloc_fail_after(-1);
            if (rc && rc != LF_ENOMEM) fail_msg("%s", err.message);
            lf_text_loader_free(l);
            assert_int_equal(lf_alloc_live(), before);
        }
        lf_text_dataset_free(d);
    }
}

/* ---- data sets as they are in the world ---------------------------------------------------------------------------
 */

static void test_shared_data(void **state) {
    (void)state;
    char path[512];
    shared_path(path, sizeof path, "gsm8k");
    if (access(path, R_OK)) {
        print_message("skipped: %s is not there\n", path);
        skip();
    }
    enum { ALL = 7473 };
    static uint64_t alone[ALL], packed[ALL];
    lf_err err = {0};
    lf_text_dataset *d = NULL;
    cJSON *spec = cJSON_CreateString(path);
    assert_ok(lf_text_dataset_open(&d, &(lf_text_dataset_opts){.spec = spec, .key = "data"}, &err), err);
    cJSON_Delete(spec);
    lf_text_loader *a = loader_over(d, (lf_text_loader_opts){.max_seq_length = 2048, .training = true});
    lf_text_loader *p = loader_over(
        d, (lf_text_loader_opts){.max_seq_length = 2048, .training = true, .packing = true, .shuffle = true});
    assert_int_equal(documents_of(a, alone), ALL);
    assert_int_equal(documents_of(p, packed), ALL);
    assert_memory_equal(alone, packed, sizeof alone);
    lf_text_loader_free(a);
    lf_text_loader_free(p);
    lf_text_dataset_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_overlong),
        cmocka_unit_test(test_promises),
        cmocka_unit_test(test_workers_and_resuming_do_not_matter),
        cmocka_unit_test(test_like_lengths_go_together),
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_epochs_differ),
        cmocka_unit_test(test_packing_keeps_documents),
        cmocka_unit_test(test_pack),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_windows_are_drawn),
        cmocka_unit_test(test_held_out_windows_are_not_trained_on),
        cmocka_unit_test(test_files_of_a_folder_are_apart),
        cmocka_unit_test(test_failure_in_its_place),
        cmocka_unit_test(test_documents_without_tokens),
        cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_shared_data),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
