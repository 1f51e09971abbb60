/* Event files for TensorBoard: records and scalars as the formats say, read here by other code; cut back on resume;
 * damaged. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "train/events.h"

static char dir[] = "/tmp/lora-ft-test-events-XXXXXX", path[128];

static int make_folder(void **state) {
    (void)state;
    if (!mkdtemp(dir)) return -1;
    snprintf(path, sizeof path, "%s/tensorboard/events.out.tfevents.0.lora-ft", dir);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static void write_steps(int64_t keep, int from, int to) {
    lf_events e;
    lf_err err = {0};
    if (lf_events_open(&e, dir, keep, &err)) fail_msg("%s", err.message);
    for (int step = from; step <= to; step++) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddNumberToObject(row, "step", step);
        cJSON_AddNumberToObject(row, "loss", 0.5 * step);
        cJSON_AddNumberToObject(row, "eval_accuracy", 0.25);
        cJSON_AddStringToObject(row, "word", "no scalar");
        cJSON_AddNumberToObject(row, "base_loss", -1e30);
        if (lf_events_write(&e, row, &err)) fail_msg("%s", err.message);
        cJSON_Delete(row);
    }
    lf_events_close(&e);
}

/* ---- a reader ---- */

static char *file;
static size_t size;

static void read_file(void) {
    lf_err err = {0};
    lf_free(file);
    if (lf_file_read(&file, &size, path, &err)) fail_msg("%s", err.message);
}

static uint32_t word(size_t at) {
    uint32_t w;
    memcpy(&w, file + at, sizeof w);
    return w;
}

/* By a table, and unmasked as TFRecord's readers do it. */
static void assert_checksum(size_t from, size_t n, uint32_t masked) {
    uint32_t table[256], crc = 0xffffffffu;
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int k = 0; k < 8; k++) table[i] = table[i] & 1 ? 0x82f63b78u ^ table[i] >> 1 : table[i] >> 1;
    }
    for (size_t i = 0; i < n; i++) crc = table[(crc ^ (uint8_t)file[from + i]) & 0xff] ^ crc >> 8;
    const uint32_t rotated = masked - 0xa282ead8u;
    assert_int_equal(rotated >> 17 | rotated << 15, crc ^ 0xffffffffu);
}

/* The record at `at`, and where the next begins; its step, and the scalar `tag`. */
static size_t record(size_t at, int64_t *step, const char *tag, float *scalar) {
    assert_true(at + 16 <= size);
    const size_t n = word(at), data = at + 12;
    assert_int_equal(word(at + 4), 0);
    assert_checksum(at, 8, word(at + 8));
    assert_true(data + n + 4 <= size);
    assert_checksum(data, n, word(data + n));
    assert_int_equal(file[data], 0x09);
    double seconds;
    memcpy(&seconds, file + data + 1, sizeof seconds);
    assert_true(seconds > 1.6e9 && seconds < 1e11);
    assert_int_equal(file[data + 9], 0x10);
    *step = (uint8_t)file[data + 10] & 0x7f;
    if (file[data + 10] & 0x80) *step |= (int64_t)((uint8_t)file[data + 11]) << 7; /* two bytes do for these */
    for (size_t i = data; scalar && i + strlen(tag) + 5 <= data + n; i++)
        if (memcmp(file + i, tag, strlen(tag)) == 0 && file[i + strlen(tag)] == 0x15)
            memcpy(scalar, file + i + strlen(tag) + 1, sizeof *scalar);
    return data + n + 4;
}

static void assert_steps(int from, int to) {
    int64_t step;
    read_file();
    size_t at = record(0, &step, "", NULL);
    assert_int_equal(step, 0);
    assert_memory_equal(file + 12 + 11,
                        "\x1a\x0d"
                        "brain.Event:2",
                        15);
    for (int s = from; s <= to; s++) {
        float loss = -1, accuracy = -1, base = 0, none = 7;
        const size_t was = at;
        at = record(was, &step, "train/loss", &loss);
        record(was, &step, "eval/accuracy", &accuracy);
        record(was, &step, "base/loss", &base);
        record(was, &step, "train/word", &none);
        assert_int_equal(step, s);
        assert_true(loss == 0.5f * (float)s && accuracy == 0.25f && base == -1e30f && none == 7);
    }
    assert_int_equal(at, size);
}

static void test_scalars(void **state) {
    (void)state;
    write_steps(-1, 1, 300);
    assert_steps(1, 300);
}

static void test_cut_back_and_gone_on_with(void **state) {
    (void)state;
    write_steps(-1, 1, 9);
    write_steps(4, 5, 6);
    assert_steps(1, 6);
    write_steps(6, 7, 7);
    assert_steps(1, 7);
    write_steps(0, 1, 2);
    assert_steps(1, 2);
    write_steps(-1, 1, 1);
    assert_steps(1, 1);
    unlink(path);
    write_steps(5, 6, 8); /* a run that began without it */
    assert_steps(6, 8);
}

/* Whatever stands there, what is whole of it is kept, and what follows can be read. */
static void test_damaged(void **state) {
    (void)state;
    write_steps(-1, 1, 3);
    read_file();
    const size_t whole = size;
    for (size_t cut = 0; cut < whole; cut += 7) {
        lf_err err = {0};
        write_steps(-1, 1, 3);
        if (lf_file_write(path, file, cut, &err)) fail_msg("%s", err.message);
        write_steps(100, 101, 101);
        int64_t step;
        char *was = file;
        file = NULL;
        read_file();
        size_t at = record(0, &step, "", NULL);
        while (at < size) at = record(at, &step, "", NULL);
        assert_int_equal(step, 101);
        lf_free(file);
        file = was;
    }
    for (size_t flip = 0; flip < whole; flip += 5) {
        lf_err err = {0};
        file[flip] ^= 0x10;
        if (lf_file_write(path, file, whole, &err)) fail_msg("%s", err.message);
        file[flip] ^= 0x10;
        write_steps(100, 101, 101);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_cut_back_and_gone_on_with),
        cmocka_unit_test(test_damaged),
    };
    const int failed = cmocka_run_group_tests(tests, make_folder, remove_folder);
    lf_free(file);
    return failed;
}
