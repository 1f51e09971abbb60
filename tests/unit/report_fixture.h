/* Runs as their files tell, in a folder of their own; what pages and pictures must be whatever stands in them. */
#ifndef LF_TEST_REPORT_FIXTURE_H
#define LF_TEST_REPORT_FIXTURE_H

#include <math.h>
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
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

static char folder[64];
static char *search_path;

#define assert_ok(rc, err)                                                                                             \
    do {                                                                                                               \
        if (rc) fail_msg("%s", (err).message);                                                                         \
    } while (0)

static inline int make_folder(void **state) {
    (void)state;
    lf_log_set_level(LF_LOG_QUIET);
    strcpy(folder, "/tmp/lora-ft-pictures-XXXXXX");
    search_path = lf_strdup(getenv("PATH") ? getenv("PATH") : "");
    return mkdtemp(folder) && search_path ? 0 : -1;
}

static inline int remove_folder(void **state) {
    (void)state;
    setenv("PATH", search_path, 1);
    lf_free(search_path);
    return lf_remove_tree(folder, NULL) ? -1 : 0;
}

static inline bool has_gnuplot(void) { return system("command -v gnuplot > /dev/null 2>&1") == 0; }

static inline void put_file(const char *dir, const char *name, const char *text) {
    char *path = lf_path_join(dir, name);
    lf_err err = {0};
    const lf_status rc = lf_file_write(path, text, strlen(text), &err);
    lf_free(path);
    assert_ok(rc, err);
}

/* lf_free */
static inline char *get_file(const char *dir, const char *name) {
    char *path = lf_path_join(dir, name), *text = NULL;
    size_t size;
    lf_err err = {0};
    const lf_status rc = lf_file_read(&text, &size, path, &err);
    lf_free(path);
    assert_ok(rc, err);
    assert_int_equal(strlen(text), size);
    return text;
}

static inline bool is_there(const char *dir, const char *name) {
    char *path = lf_path_join(dir, name);
    const bool there = lf_is_file(path);
    lf_free(path);
    return there;
}

static inline void holds(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("not there: %s", part);
}
static inline void holds_not(const char *text, const char *part) {
    if (strstr(text, part)) fail_msg("is there: %s", part);
}

/* The end of a tag that begins at `at`; quotes may hold '>'. */
static inline const char *tag_end(const char *at) {
    char quote = 0;
    for (; *at; at++) {
        if (quote)
            quote = *at == quote ? 0 : quote;
        else if (*at == '"' || *at == '\'')
            quote = *at;
        else if (*at == '>')
            return at;
        else if (*at == '<')
            fail_msg("'<' inside a tag: %.40s", at);
    }
    fail_msg("a tag has no end");
    return at;
}

/* Every element is closed, in order; of HTML, those that have no end tag are left out. */
static inline void is_balanced(const char *text, bool html) {
    static const char *const empty[] = {"meta", "br", "hr", "img", "link"};
    char open[64][32];
    int depth = 0;
    for (const char *at = text; (at = strchr(at, '<'));) {
        if (at[1] == '!' || at[1] == '?') {
            at = tag_end(at + 1);
            continue;
        }
        const bool closes = at[1] == '/';
        const char *name = at + 1 + closes, *end = tag_end(name);
        const size_t n = strcspn(name, " \t\r\n/>");
        assert_true(n > 0 && n < sizeof open[0]);
        bool alone = !closes && end[-1] == '/';
        for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++)
            alone = alone || (html && strncmp(name, empty[i], n) == 0 && !empty[i][n]);
        if (closes) {
            if (depth == 0 || strncmp(open[depth - 1], name, n) != 0 || open[depth - 1][n])
                fail_msg("</%.*s> closes <%s>", (int)n, name, depth ? open[depth - 1] : "");
            depth--;
        } else if (!alone) {
            assert_true(depth < 64);
            memcpy(open[depth], name, n);
            open[depth++][n] = 0;
        }
        at = end;
    }
    if (depth) fail_msg("<%s> is not closed", open[depth - 1]);
}

/* Nothing is fetched: addresses are names of XML's own only. */
static inline void asks_nobody(const char *page) {
    for (const char *at = page; (at = strstr(at, "http")); at++) {
        if (strncmp(at, "http://", 7) && strncmp(at, "https://", 8)) continue;
        if (strncmp(at, "http://www.w3.org/", 18)) fail_msg("an address: %.60s", at);
        const char *before = at - 1; /* xmlns="  xmlns:xlink=" */
        while (before > page && *before != ' ' && *before != '\n') before--;
        if (strncmp(before + 1, "xmlns", 5)) fail_msg("fetched: %.60s", before);
    }
    for (const char *at = page; (at = strstr(at, "src=")); at++)
        if (strncmp(at, "src=\"data:image/svg+xml;base64,", 31)) fail_msg("fetched: %.60s", at);
    holds(page, "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; ");
    holds_not(page, "@import");
    holds_not(page, "<link");
    holds_not(page, "<script");
}

/* No id twice, and every place that is pointed to is there. */
static inline void ids_are_unique(const char *page) {
    static const char *const forms[] = {" id=\"", " id='", "\tid=\"", "\nid=\""};
    for (size_t k = 0; k < sizeof forms / sizeof forms[0]; k++)
        for (const char *at = page; (at = strstr(at, forms[k])); at++) {
            const char *value = at + strlen(forms[k]);
            const size_t n = strcspn(value, "\"'");
            char again[2][200];
            snprintf(again[0], sizeof again[0], "id=\"%.*s\"", (int)n, value);
            snprintf(again[1], sizeof again[1], "id='%.*s'", (int)n, value);
            for (int q = 0; q < 2; q++) {
                const char *second = strstr(value, again[q]);
                if (second) fail_msg("twice: %s", again[q]);
            }
        }
}

#endif
