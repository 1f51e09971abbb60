/* Methods of text. */
#define _GNU_SOURCE /* memmem */
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

#include "jinja/tables.h"

static lf_jval expected_text(lf_jinja_run *r, const lf_jval *v) {
    return lf_jfail(r, LF_EDATA, "expected a text as argument, found a %s", lf_jtype(v));
}

/* ---- case and blanks ---- */

lf_jval lf_jmethod_str_upper(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    (void)c;
    return lf_jcased(r, v.s, LF_J_UPPER);
}
lf_jval lf_jmethod_str_lower(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    (void)c;
    return lf_jcased(r, v.s, LF_J_LOWER);
}
lf_jval lf_jmethod_str_capitalize(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    (void)c;
    return lf_jcapitalize(r, v.s);
}
lf_jval lf_jmethod_str_strip(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    return lf_jstrip(r, v.s, c->slot[0], LF_J_BOTH);
}
lf_jval lf_jmethod_str_lstrip(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    return lf_jstrip(r, v.s, c->slot[0], LF_J_LEFT);
}
lf_jval lf_jmethod_str_rstrip(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    return lf_jstrip(r, v.s, c->slot[0], LF_J_RIGHT);
}

static bool is_cased(uint32_t c) {
    const utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL || category == UTF8PROC_CATEGORY_LT;
}

lf_jval lf_jmethod_str_title(lf_jinja_run *r, lf_jval v, lf_jcall *call) {
    (void)call;
    lf_jbuilder b = {.r = r};
    bool within = false;
    for (size_t at = 0, n; at < v.s->n && lf_jstep(r, 1); at += n) {
        uint32_t c;
        n = lf_jchar_next(v.s, at, &c);
        lf_jb_add_cased(&b, v.s, at, at + n, within ? LF_J_LOWER : LF_J_TITLE);
        within = is_cased(c);
    }
    return lf_jb_value(&b);
}

static lf_jval padded(lf_jinja_run *r, const lf_jstr *s, const lf_jcall *c, bool left) {
    lf_jbuilder b = {.r = r};
    int64_t width;
    if (!lf_jas_int(&c->slot[0], &width)) return lf_jfail(r, LF_EDATA, "expected a number as width");
    const lf_jval fill = c->slot[1].kind == LF_J_ABSENT ? lf_jtext(r, " ", 1) : c->slot[1];
    if (fill.kind != LF_J_STR || lf_jchars(fill.s) != 1)
        return lf_jfail(r, LF_EDATA, "expected one character to fill with");
    const int64_t n = width - (int64_t)lf_jchars(s);
    if (!left) lf_jb_add(&b, s);
    for (int64_t i = 0; i < n && lf_jstep(r, 1); i++) lf_jb_add(&b, fill.s);
    if (left) lf_jb_add(&b, s);
    return lf_jb_value(&b);
}
lf_jval lf_jmethod_str_ljust(lf_jinja_run *r, lf_jval v, lf_jcall *c) { return padded(r, v.s, c, false); }
lf_jval lf_jmethod_str_rjust(lf_jinja_run *r, lf_jval v, lf_jcall *c) { return padded(r, v.s, c, true); }

lf_jval lf_jmethod_str_zfill(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    lf_jbuilder b = {.r = r};
    int64_t width;
    if (!lf_jas_int(&c->slot[0], &width)) return lf_jfail(r, LF_EDATA, "zfill: expected a number");
    const size_t sign = v.s->n && (*v.s->s == '-' || *v.s->s == '+');
    lf_jb_add_part(&b, v.s, 0, sign);
    for (int64_t n = width - (int64_t)lf_jchars(v.s); n > 0 && lf_jstep(r, 1); n--) lf_jb_put(&b, "0", 1);
    lf_jb_add_part(&b, v.s, sign, v.s->n);
    return lf_jb_value(&b);
}

/* ---- what the characters are ---- */

typedef bool is_kind(uint32_t c);
static lf_jval all_are(lf_jinja_run *r, const lf_jstr *s, is_kind *is) {
    for (size_t at = 0; at < s->n && lf_jstep(r, 1);) {
        uint32_t c;
        at += lf_jchar_next(s, at, &c);
        if (!is(c)) return lf_jbool(false);
    }
    return lf_jbool(s->n > 0);
}

static bool is_alpha(uint32_t c) {
    const utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}
static bool is_decimal(uint32_t c) { return utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_ND; }
static bool is_alnum(uint32_t c) {
    const utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return is_alpha(c) || (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO);
}

lf_jval lf_jmethod_str_isalpha(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    (void)c;
    return all_are(r, v.s, is_alpha);
}
lf_jval lf_jmethod_str_isalnum(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    (void)c;
    return all_are(r, v.s, is_alnum);
}
lf_jval lf_jmethod_str_isdigit(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    (void)c;
    return all_are(r, v.s, is_decimal);
}
lf_jval lf_jmethod_str_isspace(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    (void)c;
    return all_are(r, v.s, lf_jspace);
}
lf_jval lf_jmethod_str_islower(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    return lf_jcall_def(r, lf_jdef_find(lf_jtests, "lower"), "test", v, c);
}
lf_jval lf_jmethod_str_isupper(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    return lf_jcall_def(r, lf_jdef_find(lf_jtests, "upper"), "test", v, c);
}

/* ---- looking for a part ---- */

/* [begin, end) in bytes of [start, end) in characters, as slices count; false: start is behind the end. */
static bool range_of(lf_jinja_run *r, const lf_jstr *s, lf_jval start, lf_jval stop, size_t *begin, size_t *end) {
    const lf_jval *given[2] = {&start, &stop};
    *begin = 0;
    *end = s->n;
    if (start.kind == LF_J_ABSENT && stop.kind == LF_J_ABSENT) return true;
    const int64_t n = (int64_t)lf_jchars(s);
    int64_t at[2] = {0, n};
    for (int i = 0; i < 2; i++) {
        if (given[i]->kind == LF_J_ABSENT || given[i]->kind == LF_J_NONE) continue;
        if (!lf_jas_int(given[i], &at[i]))
            lf_jfail(r, LF_EDATA, "expected a number as place, found a %s", lf_jtype(given[i]));
        if (at[i] < 0 && (at[i] += n) < 0) at[i] = 0;
    }
    if (at[1] > n) at[1] = n;
    if (at[0] > n || at[0] > at[1]) return false;
    uint32_t c;
    size_t byte = 0;
    for (int64_t i = 0; i <= at[1]; i++) {
        if (i == at[0]) *begin = byte;
        if (i == at[1]) *end = byte;
        if (byte < s->n) byte += lf_jchar_next(s, byte, &c);
    }
    return lf_jstep(r, s->n / 16);
}

/* The last place of a part in [begin, end), or NULL. */
static const char *last_of(const char *s, size_t n, const lf_jstr *part) {
    for (size_t at = n - part->n + 1; part->n <= n && at > 0; at--)
        if (memcmp(s + at - 1, part->s, part->n) == 0) return s + at - 1;
    return NULL;
}

static int64_t find(lf_jinja_run *r, const lf_jstr *s, const lf_jcall *c, bool last) {
    size_t begin, end;
    if (c->slot[0].kind != LF_J_STR) expected_text(r, &c->slot[0]);
    if (lf_jstop(r) || !range_of(r, s, c->slot[1], c->slot[2], &begin, &end) || !lf_jstep(r, s->n)) return -1;
    const lf_jstr *part = c->slot[0].s;
    const char *at = last           ? last_of(s->s + begin, end - begin, part)
                     : part->n == 0 ? s->s + begin
                                    : memmem(s->s + begin, end - begin, part->s, part->n);
    const lf_jstr before = {.s = s->s, .n = at ? (size_t)(at - s->s) : 0};
    return at ? (int64_t)lf_jchars(&before) : -1;
}

static lf_jval index_of(lf_jinja_run *r, int64_t at) {
    return at < 0 ? lf_jfail(r, LF_EDATA, "index: the text has no such part") : lf_jint(at);
}
lf_jval lf_jmethod_str_find(lf_jinja_run *r, lf_jval v, lf_jcall *c) { return lf_jint(find(r, v.s, c, false)); }
lf_jval lf_jmethod_str_rfind(lf_jinja_run *r, lf_jval v, lf_jcall *c) { return lf_jint(find(r, v.s, c, true)); }
lf_jval lf_jmethod_str_index(lf_jinja_run *r, lf_jval v, lf_jcall *c) { return index_of(r, find(r, v.s, c, false)); }
lf_jval lf_jmethod_str_rindex(lf_jinja_run *r, lf_jval v, lf_jcall *c) { return index_of(r, find(r, v.s, c, true)); }

lf_jval lf_jmethod_str_count(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    size_t begin, end;
    int64_t n = 0;
    if (c->slot[0].kind != LF_J_STR) return expected_text(r, &c->slot[0]);
    const lf_jstr *part = c->slot[0].s;
    if (!range_of(r, v.s, c->slot[1], c->slot[2], &begin, &end)) return lf_jint(0);
    const lf_jstr within = {.s = v.s->s + begin, .n = end - begin};
    if (part->n == 0) return lf_jint((int64_t)lf_jchars(&within) + 1);
    for (const char *s = within.s, *last = s + within.n;
         (s = memmem(s, (size_t)(last - s), part->s, part->n)) && lf_jstep(r, 1); s += part->n)
        n++;
    return lf_jint(n);
}

/* Of a text, or of any in a tuple. */
static lf_jval has_end(lf_jinja_run *r, const lf_jstr *s, const lf_jcall *c, bool at_end) {
    size_t begin, end;
    const lf_jval given = c->slot[0];
    const bool tuple = given.kind == LF_J_SEQ && given.q->form == LF_J_TUPLE;
    if (!range_of(r, s, c->slot[1], c->slot[2], &begin, &end)) return lf_jbool(false);
    for (size_t i = 0; i < (tuple ? given.q->n : 1) && lf_jstep(r, 1); i++) {
        const lf_jval *one = tuple ? &given.q->items[i] : &given;
        if (one->kind != LF_J_STR) return expected_text(r, one);
        if (one->s->n > end - begin) continue;
        if (memcmp(s->s + (at_end ? end - one->s->n : begin), one->s->s, one->s->n) == 0) return lf_jbool(true);
    }
    return lf_jbool(false);
}
lf_jval lf_jmethod_str_startswith(lf_jinja_run *r, lf_jval v, lf_jcall *c) { return has_end(r, v.s, c, false); }
lf_jval lf_jmethod_str_endswith(lf_jinja_run *r, lf_jval v, lf_jcall *c) { return has_end(r, v.s, c, true); }

lf_jval lf_jmethod_str_removeprefix(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    const lf_jval there = has_end(r, v.s, c, false);
    return !lf_jstop(r) && lf_jtruth(&there) ? lf_jpart(r, v.s, c->slot[0].s->n, v.s->n) : v;
}
lf_jval lf_jmethod_str_removesuffix(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    const lf_jval there = has_end(r, v.s, c, true);
    return !lf_jstop(r) && lf_jtruth(&there) ? lf_jpart(r, v.s, 0, v.s->n - c->slot[0].s->n) : v;
}

/* ---- parts ---- */

static void add_part(lf_jinja_run *r, lf_jseq *q, const lf_jstr *s, size_t begin, size_t end) {
    lf_jseq_add(r, q, lf_jpart(r, s, begin, end));
}

static void split_by(lf_jinja_run *r, lf_jseq *q, const lf_jstr *s, const lf_jstr *by, int64_t most) {
    size_t at = 0;
    for (; most != 0 && lf_jstep(r, 1); most--) {
        const char *next = memmem(s->s + at, s->n - at, by->s, by->n);
        if (!next) break;
        add_part(r, q, s, at, (size_t)(next - s->s));
        at = (size_t)(next - s->s) + by->n;
    }
    add_part(r, q, s, at, s->n);
}

/* The next word from `at`: false, there is none. */
static bool next_word(const lf_jstr *s, size_t at, size_t *begin, size_t *end) {
    bool found = false;
    for (size_t n; at < s->n; at += n) {
        uint32_t c;
        n = lf_jchar_next(s, at, &c);
        const bool space = lf_jspace(c) && !(n == 1 && c >= 0x80);
        if (space && found) break;
        if (!space && !found) *begin = at;
        found |= !space;
        if (found) *end = at + n;
    }
    return found;
}

static void split_words(lf_jinja_run *r, lf_jseq *q, const lf_jstr *s, int64_t most) {
    size_t begin = 0, end = 0;
    for (size_t at = 0; lf_jstep(r, 1) && next_word(s, at, &begin, &end); at = end, most--) {
        if (most == 0) {
            add_part(r, q, s, begin, s->n); /* with the blanks at its end */
            return;
        }
        add_part(r, q, s, begin, end);
    }
}

static bool split_args(lf_jinja_run *r, const lf_jcall *c, const lf_jstr **by, int64_t *most) {
    const lf_jval sep = c->slot[0];
    *by = sep.kind == LF_J_STR ? sep.s : NULL;
    *most = -1;
    if (!*by && sep.kind != LF_J_ABSENT && sep.kind != LF_J_NONE) expected_text(r, &sep);
    if (*by && (*by)->n == 0) lf_jfail(r, LF_EDATA, "split by an empty text");
    if (c->slot[1].kind != LF_J_ABSENT && !lf_jas_int(&c->slot[1], most))
        lf_jfail(r, LF_EDATA, "split: maxsplit is a %s, not a number", lf_jtype(&c->slot[1]));
    return !lf_jstop(r);
}

lf_jval lf_jmethod_str_split(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    const lf_jval out = lf_jseq_new(r, LF_J_LIST);
    const lf_jstr *by;
    int64_t most;
    if (!split_args(r, c, &by, &most)) return out;
    if (by)
        split_by(r, out.q, v.s, by, most);
    else
        split_words(r, out.q, v.s, most);
    return out;
}

static void turn_around(lf_jseq *q) {
    for (size_t i = 0; i < q->n / 2; i++) {
        const lf_jval one = q->items[i];
        q->items[i] = q->items[q->n - 1 - i];
        q->items[q->n - 1 - i] = one;
    }
}

lf_jval lf_jmethod_str_rsplit(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    const lf_jstr *by;
    int64_t most;
    if (!split_args(r, c, &by, &most)) return v;
    if (most < 0) return lf_jmethod_str_split(r, v, c);
    if (!by) return lf_jfail(r, LF_EUNSUPPORTED, "rsplit at blanks with maxsplit is not supported");
    const lf_jval out = lf_jseq_new(r, LF_J_LIST);
    size_t end = v.s->n;
    for (; most != 0 && lf_jstep(r, v.s->n / 16 + 1); most--) {
        const char *last = last_of(v.s->s, end, by);
        if (!last) break;
        add_part(r, out.q, v.s, (size_t)(last - v.s->s) + by->n, end);
        end = (size_t)(last - v.s->s);
    }
    add_part(r, out.q, v.s, 0, end);
    turn_around(out.q);
    return out;
}

/* Before, the separator, behind; `last`: at its last place. */
static lf_jval partition(lf_jinja_run *r, const lf_jstr *s, const lf_jcall *c, bool last) {
    const lf_jval out = lf_jseq_new(r, LF_J_TUPLE);
    if (c->slot[0].kind != LF_J_STR) return expected_text(r, &c->slot[0]);
    const lf_jstr *by = c->slot[0].s;
    if (by->n == 0) return lf_jfail(r, LF_EDATA, "partition by an empty text");
    const char *at = last ? last_of(s->s, s->n, by) : memmem(s->s, s->n, by->s, by->n);
    const size_t begin = at ? (size_t)(at - s->s) : last ? 0 : s->n, end = at ? begin + by->n : begin;
    add_part(r, out.q, s, 0, begin);
    add_part(r, out.q, s, begin, end);
    add_part(r, out.q, s, end, s->n);
    return out;
}
lf_jval lf_jmethod_str_partition(lf_jinja_run *r, lf_jval v, lf_jcall *c) { return partition(r, v.s, c, false); }
lf_jval lf_jmethod_str_rpartition(lf_jinja_run *r, lf_jval v, lf_jcall *c) { return partition(r, v.s, c, true); }

lf_jval lf_jmethod_str_splitlines(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    const lf_jval out = lf_jseq_new(r, LF_J_LIST);
    if (!lf_jstop(r)) *out.q = lf_jlines(r, v.s, lf_jtruth(&c->slot[0]));
    return out;
}

/* ---- making text ---- */

lf_jval lf_jmethod_str_replace(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    int64_t count = -1;
    for (int i = 0; i < 2; i++)
        if (c->slot[i].kind != LF_J_STR) return expected_text(r, &c->slot[i]);
    if (c->slot[2].kind != LF_J_ABSENT && !lf_jas_int(&c->slot[2], &count))
        return lf_jfail(r, LF_EDATA, "replace: count is a %s, not a number", lf_jtype(&c->slot[2]));
    return lf_jreplace(r, v.s, c->slot[0].s, c->slot[1].s, count);
}

lf_jval lf_jmethod_str_join(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    const lf_jseq q = lf_jiterate(r, c->slot[0]);
    return lf_jjoin(r, v.s, &q, true);
}

/* {}, {0}, {name}, each with !s or !r; what more there is (attributes, widths) is refused. */
static void put_field(lf_jbuilder *b, const lf_jcall *c, const char *s, size_t n, size_t *next) {
    lf_jinja_run *r = b->r;
    const char *bang = memchr(s, '!', n);
    const size_t size = bang ? (size_t)(bang - s) : n;
    char name[64];
    if (memchr(s, ':', n) || memchr(s, '.', size) || memchr(s, '[', size) || size >= sizeof name ||
        (bang && (n - size != 2 || !strchr("sr", bang[1])))) {
        lf_jfail(r, LF_EUNSUPPORTED, "format: '{%.*s}' is not supported", (int)(n < 60 ? n : 60), s);
        return;
    }
    snprintf(name, sizeof name, "%.*s", (int)size, s);
    const bool number = name[strspn(name, "0123456789")] == 0;
    size_t i = number && size ? 0 : *next;
    for (const char *d = name; number && *d; d++) i = i < 100000 ? 10 * i + (size_t)(*d - '0') : i;
    if (number && !size) ++*next;
    const lf_jval *v = !number ? lf_jdict_find_name(&c->named, name) : i < c->given.n ? &c->given.items[i] : NULL;
    if (!v)
        lf_jfail(r, LF_EDATA, "format: '{%s}' is not given", name);
    else if (bang && bang[1] == 'r')
        lf_jb_repr(b, *v);
    else
        lf_jb_str(b, *v);
}

lf_jval lf_jmethod_str_format(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    const lf_jstr *s = v.s;
    lf_jbuilder b = {.r = r};
    size_t next = 0;
    for (size_t at = 0; at < s->n && lf_jstep(r, 1);) {
        const size_t plain = strcspn(s->s + at, "{}");
        const size_t end = at + plain < s->n ? at + plain : s->n;
        lf_jb_add_part(&b, s, at, end);
        at = end;
        if (at == s->n) break;
        if (s->s[at] == 0 || s->s[at + 1] == s->s[at]) { /* a NUL stands for itself, {{ for { */
            lf_jb_add_part(&b, s, at, at + 1);
            at += s->s[at] ? 2 : 1;
            continue;
        }
        const char *close = s->s[at] == '{' ? memchr(s->s + at, '}', s->n - at) : NULL;
        if (!close) return lf_jfail(r, LF_EDATA, "format: a single '%c'", s->s[at]);
        put_field(&b, c, s->s + at + 1, (size_t)(close - s->s) - at - 1, &next);
        at = (size_t)(close - s->s) + 1;
    }
    return lf_jb_value(&b);
}
