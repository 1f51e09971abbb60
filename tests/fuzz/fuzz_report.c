/* A folder of runs from elsewhere, made a page of (files.h). One line of error, or a
 * page in which no text of a run's has become markup. */
#include "files.h"
#include "lora_ft.h"
#include "report/page/report.h"

/* ---- the page ---- */

/* All that the page is made of; whatever else stands behind a '<' came from a file. */
static const char *const tags[] = {"!doctype", "b",      "body", "br",    "code",  "details", "div",     "figcaption",
                                   "figure",   "footer", "h1",   "h2",    "head",  "html",    "img",     "li",
                                   "meta",     "p",      "pre",  "small", "span",  "style",   "summary", "table",
                                   "tbody",    "td",     "th",   "thead", "title", "tr",      "ul"};

static bool is_tag(const char *name, size_t n) {
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (strlen(tags[i]) == n && memcmp(tags[i], name, n) == 0) return true;
    return false;
}

/* Attributes are ours alone: none calls a script, and addresses are data in the page. */
static void check_attributes(const char *at, const char *end) {
    static const char image[] = "src=\"data:image/svg+xml;base64,";
    for (const char *s = at; s < end; s++) {
        require(strncmp(s, " on", 3) != 0 && strncmp(s, "href", 4) != 0);
        require(strncmp(s, "src", 3) != 0 || strncmp(s, image, sizeof image - 1) == 0);
        if (*s == '"') s = memchr(s + 1, '"', (size_t)(end - s - 1));
        require(s != NULL);
    }
}

static void check_page(const char *name) {
    const char *path = in_folder(name);
    char *text = NULL;
    size_t n = 0;
    if (!lf_is_file(path)) return;
    require(lf_file_read(&text, &n, path, NULL) == LF_OK);
    require(strlen(text) == n && strstr(text, "Content-Security-Policy\" content=\"default-src 'none';"));
    for (const char *at = text; (at = strchr(at, '<'));) {
        const bool closes = at[1] == '/';
        const char *name_at = at + 1 + closes, *end = name_at + strcspn(name_at, " >");
        require(is_tag(name_at, (size_t)(end - name_at)));
        const char *close = strchr(end, '>');
        require(close != NULL);
        check_attributes(end, close);
        at = close;
        if (!closes && strncmp(name_at, "style>", 6) == 0) at = strstr(at, "</style>");
        require(at != NULL);
    }
    lf_free(text);
}

static void report(const char *dir, bool json) {
    FILE *null = fopen("/dev/null", "w");
    lf_config *cfg = NULL;
    lf_err err = {0};
    require(null && lf_config_new(&cfg, "report", NULL) == LF_OK);
    require(lf_config_set(cfg, "run", dir, NULL) == LF_OK &&
            lf_config_set(cfg, "json", json ? "true" : "false", NULL) == LF_OK);
    require(lf_config_finish(cfg, NULL) == LF_OK);
    const lf_status rc = lf_report(cfg, null, &err);
    require_said(rc, &err);
    require(rc == LF_OK || lf_status_exit_code(rc) == 3 || rc == LF_EUSAGE ||
            rc == LF_EIO); /* EIO: a folder has the page's name */
    lf_config_free(cfg);
    fclose(null);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    lf_log_set_level(LF_LOG_QUIET);
    setenv("PATH", "", 1); /* no gnuplot: what it would be given is made all the same */
    const bool json = take_byte(&in) & 1;
    put_folder("runs", &in);
    report(in_folder("runs"), json);
    check_page("runs/report.html");
    if (lf_is_dir(in_folder("runs/a"))) {
        report(in_folder("runs/a"), json);
        check_page("runs/a/report.html");
    }
    require(lf_alloc_live() == 0);
    return 0;
}
