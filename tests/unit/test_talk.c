/* What of a conversation goes into a context: all of it, or the system's message and the newest turns. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "folder_fixture.h"

#include "base/string.h"
#include "tools/talk.h"

static lf_err err;

/* A template that makes something else of answers, as those do that hide what was thought. */
static const char jinja[] =
    "{% for m in messages %}[{{ m.role }}]{{ m.content | upper if m.role == 'assistant' else m.content }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}";

static lf_text_tokenizer *open_tokenizer(void) {
    lf_text_tokenizer *t = NULL;
    const char *path = in_folder("t.jinja");
    const lf_text_tokenizer_opts opts = {
        .path = LF_TEST_DIR "/golden/tokenizer/gpt2.json", .chat_template = path, .vocab_size = 704};
    assert_int_equal(lf_file_write(path, jinja, sizeof jinja - 1, &err), LF_OK);
    if (lf_text_tokenizer_open(&t, &opts, &err)) fail_msg("%s", err.message);
    return t;
}

static void say(lf_talk *t, const char *role, const char *content) {
    assert_int_equal(lf_talk_say(t, role, content, strlen(content), &err), LF_OK);
}

static void says(const lf_text_tokenizer *t, const lf_ids *ids, const char *want) {
    lf_ids wanted = {0};
    assert_int_equal(lf_text_tokenizer_prompt(t, want, strlen(want), true, &wanted, &err), LF_OK);
    if (ids->n != wanted.n || memcmp(ids->ids, wanted.ids, (size_t)ids->n * sizeof *ids->ids) != 0)
        fail_msg("%d ids are not the %d of '%s'", (int)ids->n, (int)wanted.n, want);
    lf_ids_free(&wanted);
}

/* "system", if `with` says so, then `turns` turns that were answered, "u0" "a0" and so on, and a question. */
static lf_talk talk_of(bool with, int turns) {
    lf_talk t = {0};
    if (with) say(&t, "system", "sys");
    for (int i = 0; i < turns; i++) {
        char u[8], a[8];
        snprintf(u, sizeof u, "u%d", i);
        snprintf(a, sizeof a, "a%d", i);
        say(&t, "user", u);
        say(&t, "assistant", a);
    }
    say(&t, "user", "why?");
    return t;
}

static int64_t length_of(const lf_text_tokenizer *text, bool with, int turns) {
    lf_talk t = talk_of(with, turns);
    lf_ids ids = {0};
    assert_int_equal(lf_talk_ids(&t, text, &ids, &err), LF_OK);
    const int64_t n = ids.n;
    lf_ids_free(&ids);
    lf_talk_free(&t);
    return n;
}

static void test_fit(void **state) {
    (void)state;
    lf_text_tokenizer *text = open_tokenizer();
    for (int with = 0; with < 2; with++) {
        const char *system = with ? "[system]sys" : "";
        const int64_t all = length_of(text, with, 3), two = length_of(text, with, 2), none = length_of(text, with, 0);
        lf_ids ids = {0};
        size_t left_out;
        char want[200];
        /* there is room: nothing is left out */
        lf_talk t = talk_of(with, 3);
        assert_int_equal(lf_talk_fit(&t, text, all + 7, 7, &ids, &left_out, &err), LF_OK);
        snprintf(want, sizeof want, "%s[user]u0[assistant]A0[user]u1[assistant]A1[user]u2[assistant]A2[user]why?%s",
                 system, "[assistant]");
        says(text, &ids, want);
        assert_int_equal(left_out, 0);
        assert_int_equal(t.n, 7 + with);
        /* a token less: as many turns go as leave a quarter of the context */
        const int64_t context = (two * 4 + 2) / 3; /* in which two turns leave it */
        assert_true(context < all + context && two + context / 4 <= context);
        assert_int_equal(lf_talk_fit(&t, text, context, context - all + 1, &ids, &left_out, &err), LF_OK);
        snprintf(want, sizeof want, "%s[user]u1[assistant]A1[user]u2[assistant]A2[user]why?%s", system, "[assistant]");
        says(text, &ids, want);
        assert_int_equal(left_out, 1);
        assert_int_equal(t.n, 5 + with);
        /* and it stays so */
        lf_talk_unsay(&t);
        say(&t, "user", "why?");
        assert_int_equal(lf_talk_fit(&t, text, context, 1, &ids, &left_out, &err), LF_OK);
        says(text, &ids, want);
        assert_int_equal(left_out, 0);
        /* the question alone has no quarter, but room */
        assert_int_equal(lf_talk_fit(&t, text, none + 1, 1, &ids, &left_out, &err), LF_OK);
        snprintf(want, sizeof want, "%s[user]why?[assistant]", system);
        says(text, &ids, want);
        assert_int_equal(left_out, 2);
        assert_int_equal(t.n, 1 + with);
        lf_talk_free(&t);
        /* it has no room at all: nothing is forgotten for it */
        t = talk_of(with, 3);
        assert_int_equal(lf_talk_fit(&t, text, none, 1, &ids, &left_out, &err), LF_OK);
        says(text, &ids, want);
        assert_int_equal(left_out, 0);
        assert_int_equal(t.n, 7 + with);
        lf_ids_free(&ids);
        lf_talk_free(&t);
    }
    lf_text_tokenizer_free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {IN_FOLDER(test_fit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
