#include "adapter/card.h"

#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/stored.h"

#define MARK     "\n<!-- written by lora-ft, and again as long as nothing above is changed: "
#define MARK_END " -->\n"

static char *sealed(const char *text) {
    char hash[33];
    lf_stored_hash(hash, text, strlen(text));
    return lf_format("%s" MARK "%.32s" MARK_END, text, hash);
}

/* Where the mark begins; NULL: somebody changed the text, or wrote it. */
static char *mark_of(char *text) {
    char *mark = NULL, hash[33];
    for (char *at = text; (at = strstr(at, MARK)); at++) mark = at;
    if (!mark) return NULL;
    lf_stored_hash(hash, text, (size_t)(mark - text));
    const char *said = mark + strlen(MARK);
    return strncmp(said, hash, 32) == 0 && strcmp(said + 32, MARK_END) == 0 ? mark : NULL;
}

/* *text NULL: there is none. */
static lf_status read_card(char **text, const char *dir, lf_err *err) {
    size_t n;
    *text = NULL;
    if (!lf_is_file_in(dir, LF_CARD)) return LF_OK;
    char *path = lf_path_join(dir, LF_CARD);
    const lf_status rc = path ? lf_file_read(text, &n, path, err) : lf_no_memory(err, "%s", dir);
    lf_free(path);
    return rc;
}

static lf_status write_text(const char *dir, const char *text, lf_err *err) {
    char *path = lf_path_join(dir, LF_CARD);
    const lf_status rc = path && text ? lf_file_write(path, text, strlen(text), err) : lf_no_memory(err, "%s", dir);
    lf_free(path);
    return rc;
}

static lf_status write_sealed(const char *dir, const char *text, lf_err *err) {
    char *whole = sealed(text);
    const lf_status rc = write_text(dir, whole, err);
    lf_free(whole);
    return rc;
}

lf_status lf_card_write(const char *dir, const char *text, lf_err *err) {
    char *there;
    const lf_status rc = read_card(&there, dir, err);
    const bool own = there && !mark_of(there);
    lf_free(there);
    if (own) lf_info("%s/" LF_CARD ": was changed by hand, and stays as it is", dir);
    return rc || own ? rc : write_sealed(dir, text, err);
}

lf_status lf_card_keep(const char *from_dir, const char *to_dir, lf_err *err) {
    char *there;
    lf_status rc = read_card(&there, from_dir, err);
    if (!rc && there && !mark_of(there)) rc = write_text(to_dir, there, err);
    lf_free(there);
    return rc;
}

/* The results stand at the end of the head (peft_readme.c). */
static void drop_results(char *text) {
    char *begin = strstr(text, "\nmodel-index:\n"), *end = begin ? strstr(begin, "\n---\n") : NULL;
    if (end) memmove(begin, end, strlen(end) + 1);
}

lf_status lf_card_copy(const char *from_dir, const char *to_dir, const char *more, lf_err *err) {
    char *there, *mark;
    lf_status rc = read_card(&there, from_dir, err);
    if (rc || !there) return rc;
    if (!(mark = mark_of(there))) {
        rc = write_text(to_dir, there, err);
    } else {
        *mark = 0;
        drop_results(there);
        char *text = lf_format("%s%s", there, more ? more : "");
        rc = text ? write_sealed(to_dir, text, err) : lf_no_memory(err, "%s", to_dir);
        lf_free(text);
    }
    lf_free(there);
    return rc;
}
