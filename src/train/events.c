#define _POSIX_C_SOURCE 200809L
#include "train/events.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/folder.h"
#include "base/mem.h"
#include "base/string.h"

/* ---- bytes ---- */

enum { MOST = 1 << 13 }; /* bytes of one event: a row of all metrics has some two thousand */

typedef struct bytes {
    uint8_t at[MOST];
    size_t n;
    bool full;
} bytes;

static void put(bytes *b, const void *data, size_t n) {
    if (b->full || n > sizeof b->at - b->n) {
        b->full = true;
        return;
    }
    memcpy(b->at + b->n, data, n);
    b->n += n;
}

static void put_byte(bytes *b, uint8_t byte) { put(b, &byte, 1); }

/* Little-endian, whatever the machine. */
static void put_fixed(bytes *b, uint64_t value, int size) {
    for (int i = 0; i < size; i++) put_byte(b, (uint8_t)(value >> 8 * i));
}

static uint64_t get_fixed(const uint8_t *at, int size) {
    uint64_t value = 0;
    for (int i = 0; i < size; i++) value |= (uint64_t)at[i] << 8 * i;
    return value;
}

/* CRC-32C (Castagnoli), bit by bit: a few hundred bytes a row. zlib has another polynomial. */
static uint32_t crc32c(const uint8_t *at, size_t n) {
    uint32_t crc = ~0u;
    for (size_t i = 0; i < n; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

/* As TFRecord stores it. */
static uint32_t masked_crc(const uint8_t *at, size_t n) {
    const uint32_t crc = crc32c(at, n);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* ---- protocol buffers: tensorflow/core/util/event.proto, summary.proto ---- */

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };
enum { EVENT_WALL_TIME = 1, EVENT_STEP = 2, EVENT_FILE_VERSION = 3, EVENT_SUMMARY = 5 };
enum { SUMMARY_VALUE = 1, VALUE_TAG = 1, VALUE_SIMPLE = 2 };

static void put_field(bytes *b, int field, int type) { put_byte(b, (uint8_t)(field << 3 | type)); }

static void put_varint(bytes *b, uint64_t value) {
    for (; value > 0x7f; value >>= 7) put_byte(b, (uint8_t)(value | 0x80));
    put_byte(b, (uint8_t)value);
}

static void put_bytes(bytes *b, int field, const void *data, size_t n) {
    put_field(b, field, BYTES);
    put_varint(b, n);
    put(b, data, n);
}

static void put_event(bytes *b, int64_t step) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const double seconds = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    uint64_t bits;
    memcpy(&bits, &seconds, sizeof bits);
    put_field(b, EVENT_WALL_TIME, FIXED64);
    put_fixed(b, bits, 8);
    put_field(b, EVENT_STEP, VARINT);
    put_varint(b, (uint64_t)step);
}

static void put_value(bytes *summary, const char *tag, double number) {
    bytes value = {.n = 0};
    const float simple = (float)number;
    uint32_t bits;
    memcpy(&bits, &simple, sizeof bits);
    put_bytes(&value, VALUE_TAG, tag, strlen(tag));
    put_field(&value, VALUE_SIMPLE, FIXED32);
    put_fixed(&value, bits, 4);
    put_bytes(summary, SUMMARY_VALUE, value.at, value.n);
}

/* ---- records: length, its checksum, data, their checksum ---- */

enum { HEAD = 12, TAIL = 4 };

static void put_record(bytes *b, const bytes *event) {
    const size_t begin = b->n;
    put_fixed(b, event->n, 8);
    put_fixed(b, masked_crc(b->at + begin, 8), 4);
    put(b, event->at, event->n);
    put_fixed(b, masked_crc(event->at, event->n), 4);
}

/* Bytes of a whole record at `at`; 0: there is none. */
static size_t record_size(const uint8_t *at, size_t left) {
    if (left < HEAD + TAIL || masked_crc(at, 8) != get_fixed(at + 8, 4)) return 0;
    const uint64_t n = get_fixed(at, 8);
    if (n > left - HEAD - TAIL || masked_crc(at + HEAD, n) != get_fixed(at + HEAD + n, 4)) return 0;
    return HEAD + n + TAIL;
}

/* Of an event of ours, which begins with its time: the step behind it; none is 0. */
static int64_t step_of(const uint8_t *event, size_t n) {
    uint64_t step = 0;
    if (n < 10 || event[9] != (EVENT_STEP << 3 | VARINT)) return 0;
    for (size_t i = 10, shift = 0; i < n && shift < 63; i++, shift += 7) {
        step |= (uint64_t)(event[i] & 0x7f) << shift;
        if (!(event[i] & 0x80)) break;
    }
    return (int64_t)step;
}

static size_t length_until(const uint8_t *file, size_t size, int64_t step) {
    size_t end = 0, n;
    while ((n = record_size(file + end, size - end)) && step_of(file + end + HEAD, n - HEAD - TAIL) <= step) end += n;
    return end;
}

/* ---- the file ---- */

#define FOLDER "tensorboard"
static const char VERSION[] = "brain.Event:2";

static void first_record(bytes *b) {
    bytes event = {.n = 0};
    put_event(&event, 0);
    put_bytes(&event, EVENT_FILE_VERSION, VERSION, sizeof VERSION - 1);
    put_record(b, &event);
}

static lf_status begin_file(const char *path, int64_t keep_until, lf_err *err) {
    char *before = NULL;
    size_t size = 0;
    bytes first = {.n = 0};
    lf_status rc = LF_OK;
    if (keep_until >= 0 && lf_is_file(path)) rc = lf_file_read(&before, &size, path, err);
    if (!rc) {
        const size_t kept = before ? length_until((const uint8_t *)before, size, keep_until) : 0;
        if (!kept) first_record(&first);
        rc = kept ? lf_file_write(path, before, kept, err) : lf_file_write(path, first.at, first.n, err);
    }
    lf_free(before);
    return rc;
}

static char *path_in(const char *dir) { return lf_format("%s/" FOLDER "/events.out.tfevents.0.lora-ft", dir); }

void lf_events_remove(const char *dir) {
    char *path = path_in(dir);
    if (path && unlink(path) == 0) {
        *strrchr(path, '/') = '\0';
        (void)rmdir(path);
    }
    lf_free(path);
}

lf_status lf_events_open(lf_events *e, const char *dir, int64_t keep_until, lf_err *err) {
    char *folder = lf_path_join(dir, FOLDER);
    *e = (lf_events){.path = path_in(dir)};
    lf_status rc = folder && e->path ? lf_folder_make(folder, &(int){0}, err) : lf_no_memory(err, "%s", dir);
    if (!rc) rc = begin_file(e->path, keep_until, err);
    if (!rc && !(e->f = fopen(e->path, "ab"))) rc = lf_fail_errno(err, "append to", e->path);
    lf_free(folder);
    if (rc) lf_events_close(e);
    return rc;
}

static void put_row(bytes *summary, const cJSON *row) {
    static const char *const groups[][2] = {{"eval_", "eval"}, {"test_", "test"}, {"base_", "base"}, {"", "train"}};
    const cJSON *item;
    cJSON_ArrayForEach(item, row) {
        if (!cJSON_IsNumber(item) || strcmp(item->string, "step") == 0) continue;
        size_t g = 0;
        while (strncmp(item->string, groups[g][0], strlen(groups[g][0])) != 0) g++;
        char tag[128];
        snprintf(tag, sizeof tag, "%s/%s", groups[g][1], item->string + strlen(groups[g][0]));
        put_value(summary, tag, item->valuedouble);
    }
}

lf_status lf_events_write(lf_events *e, const cJSON *row, lf_err *err) {
    if (!e->f) return LF_OK;
    const cJSON *step = cJSON_GetObjectItemCaseSensitive(row, "step");
    bytes summary = {.n = 0}, event = {.n = 0}, record = {.n = 0};
    put_row(&summary, row);
    put_event(&event, step ? (int64_t)step->valuedouble : 0);
    put_bytes(&event, EVENT_SUMMARY, summary.at, summary.n);
    put_record(&record, &event);
    if (summary.full || event.full || record.full)
        return lf_fail(err, LF_EFAIL, "%s: a row of more than %d bytes", e->path, MOST);
    if (fwrite(record.at, 1, record.n, e->f) == record.n && fflush(e->f) == 0) return LF_OK;
    return lf_fail_errno(err, "write to", e->path);
}

void lf_events_close(lf_events *e) {
    if (e->f) fclose(e->f);
    lf_free(e->path);
    *e = (lf_events){0};
}
