/* A picture inside a page, as an image of its own (a data: address): a browser runs no script of an image, opens no
 * address that stands in it and follows no link, whatever it holds. What it may still do is take the reader's time and
 * memory, so only what gnuplot writes is shown. */
#include <ctype.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "plot/plot.h"
#include "report/page/html_parts.h"

/* What gnuplot's drawings are made of. A mark is drawn again and again by "use"; as none of them holds another element,
 * no file is drawn more often than it is long. */
static const struct {
    const char *name;
    bool mark;
} elements[] = {
    {"svg", false},   {"g", false},     {"title", false},  {"desc", false},    {"defs", false},        {"circle", true},
    {"path", true},   {"rect", true},   {"polygon", true}, {"polyline", true}, {"use", true},          {"text", false},
    {"tspan", false}, {"image", false}, {"filter", false}, {"feFlood", false}, {"feComposite", false},
};
enum { N_ELEMENTS = sizeof elements / sizeof *elements, MOST_BYTES = 16 << 20 };

static bool is(const char *at, size_t n, const char *name) { return strlen(name) == n && memcmp(at, name, n) == 0; }

static bool begins(const char *at, const char *what) { return strncmp(at, what, strlen(what)) == 0; }

/* name="value" at *at, which goes behind it. A link leads to a mark or is a picture in the text itself; gnuplot's names
 * of marks begin with gp, which no element has that is not one. */
static bool attribute(const char **at, bool mark) {
    const char *name = *at, *end = name + strcspn(name, " \t\r\n=\"'<>/");
    const size_t n = (size_t)(end - name);
    const char *value = end + strspn(end, " \t\r\n");
    if (n == 0 || *value != '=') return false;
    value += 1 + strspn(value + 1, " \t\r\n");
    const char quote = *value++;
    const char *close = quote == '"' || quote == '\'' ? strchr(value, quote) : NULL;
    if (!close || memchr(value, '&', (size_t)(close - value))) return false;
    *at = close + 1;
    if (n >= 4 && is(end - 4, 4, "href")) return begins(value, "#gp") || begins(value, "data:image/png;base64,");
    return mark || n < 2 || !is(end - 2, 2, "id") || !begins(value, "gp");
}

/* What stands behind a '<', up to the '>'. */
static bool tag(const char **at) {
    const char *name = *at + (**at == '/');
    const size_t n = strcspn(name, " \t\r\n/>");
    int k = 0;
    while (k < N_ELEMENTS && !is(name, n, elements[k].name)) k++;
    *at = name + n;
    bool good = k < N_ELEMENTS;
    for (; good && *(*at += strspn(*at, " \t\r\n/")) != '>';) good = attribute(at, elements[k].mark);
    return good;
}

static bool is_plain(const char *svg) {
    for (const char *at = svg; (at = strchr(at, '<'));) {
        at++;
        if (!tag(&at)) return false;
    }
    return true;
}

/* The text from <svg to </svg>, in place; NULL if it is none. */
static char *inner(char *text) {
    char *begin = strstr(text, "<svg"), *end = NULL;
    for (char *at = begin; at && (at = strstr(at, "</svg>")); at++) end = at;
    if (!end || end[6 + strspn(end + 6, " \t\r\n")]) return NULL;
    end[6] = 0;
    return begin;
}

static void put_base64(FILE *f, const char *text) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *b = (const unsigned char *)text;
    for (size_t left = strlen(text); left; b += 3) {
        const size_t n = left < 3 ? left : 3;
        const uint32_t bits = (uint32_t)b[0] << 16 | (n > 1 ? (uint32_t)b[1] << 8 : 0) | (n > 2 ? b[2] : 0);
        for (size_t i = 0; i < 4; i++) fputc(i > n ? '=' : digits[bits >> (18 - 6 * i) & 63], f);
        left -= n;
    }
}

static void put_image(FILE *f, const char *svg, const char *title) {
    fputs("<img alt=\"", f);
    lf_html_text(f, title);
    fputs("\" src=\"data:image/svg+xml;base64,", f);
    put_base64(f, svg);
    fputs("\">\n<figcaption>", f);
}

/* NULL: it is too large, or no text. */
static lf_status read_picture(char **svg, char **text, const char *path, lf_err *err) {
    size_t size = 0;
    *svg = NULL;
    if (lf_file_size(path) > MOST_BYTES) return LF_OK;
    const lf_status rc = lf_file_read(text, &size, path, err);
    if (!rc && strlen(*text) == size) *svg = inner(*text);
    return rc;
}

lf_status lf_html_picture(FILE *f, const char *dir, const char *name, const char *title, const char *caption,
                          lf_err *err) {
    char *file = lf_format("%s.svg", name), *path = file ? lf_path_join(dir, file) : NULL, *text = NULL, *svg = NULL;
    lf_status rc = path ? LF_OK : lf_no_memory(err, "%s", dir);
    const bool there = !rc && lf_is_file(path);
    if (there) rc = read_picture(&svg, &text, path, err);
    if (!rc) {
        fputs("<figure>\n", f);
        if (svg && is_plain(svg))
            put_image(f, svg, title);
        else if (there)
            fprintf(f, "<figcaption>%s.svg is not shown: it is no plain drawing, as gnuplot makes it. ", name);
        else
            fprintf(f, "<figcaption>No picture “%s”: gnuplot %s. Its numbers are in %s.csv. ", title,
                    lf_plot_can_draw() ? "failed on it" : "was not there", name);
        lf_html_text(f, caption);
        fputs("</figcaption></figure>\n", f);
    }
    lf_free(text);
    lf_free(path);
    lf_free(file);
    return rc;
}
