#include "report/page/html_parts.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/plain.h"
#include "base/utf8.h"

/* ---- text ---- */

void lf_html_text(FILE *f, const char *text) {
    for (size_t left = strlen(text); left;) {
        uint32_t c = 0;
        const size_t good = lf_utf8_next(text, left, &c), n = good ? good : lf_utf8_bad_size(text, left);
        if (!good)
            fputs("\xef\xbf\xbd", f);
        else if (c == '&')
            fputs("&amp;", f);
        else if (c == '<')
            fputs("&lt;", f);
        else if (c == '>')
            fputs("&gt;", f);
        else if (c == '"')
            fputs("&quot;", f);
        else if (c == '\'')
            fputs("&#39;", f);
        else if (c < 0x20 && c != '\n' && c != '\t')
            fputc(' ', f);
        else if (lf_control_size(text) == 3) /* it would turn round what stands beside it */
            fputs("\xef\xbf\xbd", f);
        else
            fwrite(text, 1, n, f);
        text += n;
        left -= n;
    }
}

void lf_html_value(FILE *f, const cJSON *value) {
    if (cJSON_IsNumber(value)) {
        fprintf(f, "%.6g", value->valuedouble);
    } else if (cJSON_IsString(value)) {
        lf_html_text(f, value->valuestring);
    } else if (value) {
        char *text = lf_json_print_line(value);
        lf_html_text(f, text ? text : "?");
        lf_free(text);
    }
}

/* ---- the page ---- */

static const char style[] =
    ":root{color-scheme:light "
    "dark;--text:#1c1c1c;--soft:#5c5c5c;--page:#fff;--line:#ddd;--box:#f6f7f8;--bad:#a4262c;--shade:#0003}\n"
    "@media screen and "
    "(prefers-color-scheme:dark){:root{--text:#e6e6e6;--soft:#a6a6a6;--page:#161616;--line:#3a3a3a;--box:#202020;--bad:"
    "#ff8a80;--shade:#fff4}"
    "figure img{filter:invert(.9) hue-rotate(180deg)}}\n"
    "*{box-sizing:border-box}\n"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:94rem;margin:0 "
    "auto;padding:1rem;color:var(--text);background:var(--page);overflow-wrap:break-word}\n"
    "h1{font-size:1.6rem;line-height:1.25;margin:.6rem 0}h2{font-size:1.2rem;margin:2rem 0 .6rem}p{max-width:46rem}\n"
    "table{border-collapse:collapse;font-size:.9rem}th,td{text-align:left;vertical-align:top;padding:.25rem .7rem "
    ".25rem 0;border-bottom:1px solid var(--line)}\n"
    "th{font-weight:500}thead "
    "th{vertical-align:bottom;color:var(--soft)}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:"
    "nowrap}thead .n{white-space:normal;min-width:4rem}\n"
    "td small{color:var(--soft)}.scroll td:first-child{min-width:8.5rem}.mark{white-space:nowrap}tr.best "
    "td{font-weight:600}.object{width:100%;max-width:70rem;table-layout:fixed}.object th{width:38%}.object th,.object "
    "td{overflow-wrap:anywhere}\n"
    /* A shadow at the edge beyond which there is more; what stands at the end of the table covers it. */
    ".scroll{overflow-x:auto;max-width:100%;background:linear-gradient(90deg,var(--page) 1rem,transparent) 0 0/2.5rem "
    "100% no-repeat local,"
    "linear-gradient(270deg,var(--page) 1rem,transparent) 100% 0/2.5rem 100% no-repeat "
    "local,linear-gradient(90deg,var(--shade),transparent) 0 0/.9rem 100% no-repeat,"
    "linear-gradient(270deg,var(--shade),transparent) 100% 0/.9rem 100% "
    "no-repeat}.message{max-width:min(46rem,85vw);margin-left:1.5rem;color:var(--bad);overflow-wrap:anywhere}\n"
    ".verdict{border-left:.3rem solid #1f6fb2;background:var(--box);padding:.2rem 1rem;margin:1rem 0}.verdict "
    ".answer{font-size:1.15rem}.verdict .of{color:var(--soft)}.verdict ul{margin:.3rem 0;padding-left:1.2rem}.verdict "
    "li{max-width:46rem}.verdict pre{white-space:pre-wrap;overflow-wrap:anywhere}\n"
    ".cards{display:flex;flex-wrap:wrap;gap:.7rem;margin:1rem 0}.cards div{background:var(--box);border:1px solid "
    "var(--line);border-radius:.5rem;padding:.5rem 1rem}"
    ".cards b{font-size:1.3rem}.cards span{color:var(--soft);font-size:.9rem}\n"
    ".pictures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,29rem),1fr));gap:1.5rem;align-items:"
    "start}\n"
    "figure{margin:0;min-width:0}figure img{display:block;width:100%;max-width:44rem;height:auto;border-radius:.4rem}\n"
    "figcaption{color:var(--soft);font-size:.9rem;margin-top:.4rem;max-width:44rem}\n"
    "pre{overflow-x:auto;background:var(--box);border:1px solid "
    "var(--line);border-radius:.4rem;padding:.6rem}.bad{color:var(--bad)}summary{cursor:pointer;margin:.5rem 0}\n"
    "@media (max-width:36rem){.object th{width:48%}}\n"
    "footer{color:var(--soft);font-size:.9rem;margin-top:2rem}\n"
    "@media "
    "print{:root{color-scheme:light}body{max-width:none;font-size:11pt}figure,tr{break-inside:avoid}h2{break-after:"
    "avoid}.scroll{overflow:visible;background:none}.scroll table{font-size:6.5pt}.scroll th,.scroll "
    "td{padding-right:.35rem}.scroll "
    ".n{white-space:normal}.message{max-width:none}.object{font-size:8pt}pre{white-space:pre-wrap}}\n";

/* Should a text of a run's come into the page as markup in spite of lf_html_text, it still runs nothing, asks nobody
 * and sends nothing: pictures are those in the page itself, all else is forbidden. */
static const char policy[] =
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

void lf_html_begin(FILE *f, const char *title) {
    fprintf(
        f,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" "
        "content=\"%s\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
        policy);
    lf_html_text(f, title);
    fprintf(f, "</title>\n<style>\n%s</style></head><body>\n<h1>", style);
    lf_html_text(f, title);
    fputs("</h1>\n", f);
}

void lf_html_end(FILE *f) { fprintf(f, "<footer>lora-ft %s</footer>\n</body></html>\n", lf_version()); }

void lf_html_cards_begin(FILE *f) { fputs("<div class=\"cards\">\n", f); }
void lf_html_cards_end(FILE *f) { fputs("</div>\n", f); }

void lf_html_card(FILE *f, double value, int decimals, const char *unit, const char *label) {
    if (!isfinite(value)) return;
    fprintf(f, "<div><b>%.*f%s%s</b><br><span>%s</span></div>\n", decimals, value, unit[0] ? " " : "", unit, label);
}

/* ---- tables ---- */

static void object_row(FILE *f, const cJSON *v) {
    if (!v || cJSON_IsNull(v)) return;
    fputs("<tr><th>", f);
    lf_html_text(f, v->string);
    fputs("</th><td>", f);
    lf_html_value(f, v);
    fputs("</td></tr>\n", f);
}

void lf_html_object(FILE *f, const cJSON *object, const char *const *keys) {
    const cJSON *v;
    fputs("<table class=\"object\">\n", f);
    if (keys)
        for (; *keys; keys++) object_row(f, cJSON_GetObjectItemCaseSensitive(object, *keys));
    else
        cJSON_ArrayForEach(v, object) object_row(f, v);
    fputs("</table>\n", f);
}

void lf_html_column(FILE *f, const char *name, bool number) {
    fprintf(f, "<th%s>", number ? " class=\"n\"" : "");
    lf_html_text(f, name);
    fputs("</th>", f);
}

void lf_html_table_begin(FILE *f) { fputs("<div class=\"scroll\"><table>\n<thead><tr>", f); }
void lf_html_rows(FILE *f) { fputs("</tr></thead>\n<tbody>\n", f); }
void lf_html_table_end(FILE *f) { fputs("</tbody></table></div>\n", f); }

/* ---- a command ---- */

static bool is_plain(const char *word) {
    if (!*word) return false;
    for (; *word; word++)
        if (!isalnum((unsigned char)*word) && !strchr("_-./=:,+%@", *word)) return false;
    return true;
}

/* Between single quotes a shell takes every sign for itself but the single quote. */
static void shell_word(FILE *f, const char *word) {
    if (is_plain(word)) {
        lf_html_text(f, word);
        return;
    }
    fputs("&#39;", f);
    for (const char *quote; (quote = strchr(word, '\'')); word = quote + 1) {
        char *part = lf_format("%.*s", (int)(quote - word), word);
        lf_html_text(f, part ? part : "?");
        lf_free(part);
        fputs("&#39;\\&#39;&#39;", f);
    }
    lf_html_text(f, word);
    fputs("&#39;", f);
}

void lf_html_command(FILE *f, const char *const *words) {
    fputs("<pre>", f);
    for (int i = 0; words[i]; i++) {
        if (i) fputc(' ', f);
        shell_word(f, words[i]);
    }
    fputs("</pre>\n", f);
}
