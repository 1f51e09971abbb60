/* An SVG that gnuplot wrote, inside a page. Ids are of the whole page, and every picture of gnuplot has the same ones:
 * each picture's get its name in front. */
#include <ctype.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "report/page/html_parts.h"

/* Case does not count. */
static const char *find(const char *text, const char *what) {
    const size_t n = strlen(what);
    for (; *text; text++) {
        size_t k = 0;
        while (k < n && tolower((unsigned char)text[k]) == what[k]) k++;
        if (k == n) return text;
    }
    return NULL;
}

/* Every value of such an attribute begins with one of these: a place in the picture, or a picture in the text itself.
 */
static bool links_inside(const char *svg) {
    while ((svg = find(svg, "href"))) {
        svg += strlen("href");
        svg += strspn(svg, " \t\r\n");
        if (*svg != '=') continue;
        svg += 1 + strspn(svg + 1, " \t\r\n");
        if (*svg != '"' && *svg != '\'') return false;
        if (svg[1] != '#' && strncmp(svg + 1, "data:image/png;base64,", 22) != 0) return false;
    }
    return true;
}

/* A handler is an attribute on..., after a blank and before '='. */
static bool has_handlers(const char *svg) {
    while ((svg = find(svg, "on"))) {
        const char before = svg[-1]; /* not the first: the text begins with <svg */
        svg += 2;
        const char *end = svg;
        while (isalpha((unsigned char)*end)) end++;
        end += strspn(end, " \t\r\n");
        if ((isspace((unsigned char)before) || strchr("\"'/", before)) && *end == '=') return true;
    }
    return false;
}

/* A drawing and nothing else: the page is one file that does nothing and asks nobody, whatever stands in the folder. */
static bool is_plain(const char *svg) {
    static const char *const bad[] = {"<script", "<foreignobject", "<iframe", "<object", "<embed", "<!",
                                      "<?",      "javascript:",    "@import", "<style",  "<set",   "<animate",
                                      "src=",    "http-equiv",     "</body",  "</html"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (find(svg, bad[i])) return false;
    for (const char *url = svg; (url = find(url, "url(")); url++)
        if (url[4] != '#' && strncmp(url + 4, "'#", 2) != 0 && strncmp(url + 4, "\"#", 2) != 0) return false;
    return links_inside(svg) && !has_handlers(svg);
}

/* The text from <svg to </svg>, in place; NULL if it is none. */
static char *inner(char *text) {
    char *begin = strstr(text, "<svg"), *end = NULL;
    for (char *at = begin; at && (at = strstr(at, "</svg>")); at++) end = at;
    if (!end || end[6 + strspn(end + 6, " \t\r\n")]) return NULL;
    end[6] = 0;
    return begin;
}

static bool begins(const char *at, const char *what, size_t *n) {
    *n = strlen(what);
    return strncmp(at, what, *n) == 0;
}

static void put_prefixed(FILE *f, const char *svg, const char *prefix) {
    static const char *const places[] = {" id=\"", " id='", "href=\"#", "href='#", "url(#", "url('#", "url(\"#"};
    while (*svg) {
        size_t n = 0;
        bool found = false;
        for (size_t i = 0; i < sizeof places / sizeof places[0] && !found; i++) found = begins(svg, places[i], &n);
        if (!found && isspace((unsigned char)*svg)) { /* gnuplot puts some attributes on lines of their own */
            for (size_t i = 0; i < 2 && !found; i++) found = begins(svg + 1, places[i] + 1, &n);
            n += found;
        }
        if (!found) {
            fputc(*svg++, f);
            continue;
        }
        fwrite(svg, 1, n, f);
        fputs(prefix, f);
        fputc('-', f);
        svg += n;
    }
}

lf_status lf_html_picture(FILE *f, const char *dir, const char *name, const char *title, const char *caption,
                          lf_err *err) {
    char *file = lf_format("%s.svg", name), *path = file ? lf_path_join(dir, file) : NULL, *text = NULL, *svg = NULL;
    size_t size = 0;
    lf_status rc = path ? LF_OK : lf_no_memory(err, "%s", dir);
    const bool there = !rc && lf_is_file(path);
    if (there && !(rc = lf_file_read(&text, &size, path, err)) && strlen(text) == size) svg = inner(text);
    if (!rc) {
        fputs("<figure>\n", f);
        if (svg && is_plain(svg)) {
            fputs("<svg role=\"img\" aria-label=\"", f);
            lf_html_text(f, title);
            fputc('"', f);
            put_prefixed(f, svg + strlen("<svg"), name);
            fputs("\n<figcaption>", f);
        } else if (there) {
            fprintf(f, "<figcaption>%s.svg is not shown: it is no plain drawing, as gnuplot makes it. ", name);
        } else {
            fprintf(f, "<figcaption>No picture “%s”: gnuplot was not there. Its numbers are in %s.csv. ", title, name);
        }
        lf_html_text(f, caption);
        fputs("</figcaption></figure>\n", f);
    }
    lf_free(text);
    lf_free(path);
    lf_free(file);
    return rc;
}
