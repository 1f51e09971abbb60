/* What records look like that people have: each form with the document that is made of it, or why it is refused, and
 * what is said of fields and keys that nothing reads. */
#define _POSIX_C_SOURCE 200809L
#include "stderr_fixture.h"
#include "text_fixture.h"

#include "base/left_out.h"
#include "data/text/shots.h"
#include "data/text/unread.h"

static lf_text_example example_of(lf_text_dataset *d) {
    lf_text_example e;
    lf_err err = {0};
    assert_ok(lf_text_dataset_example(d, 0, &e, &err), err);
    return e;
}

static void check_form(const char *layout, const char *record, const char *text, const char *answer) {
    put_text("f.jsonl", record);
    lf_text_dataset *d = open_text("f.jsonl");
    assert_string_equal(lf_text_dataset_layout(d), layout);
    lf_text_example e = example_of(d);
    assert_string_equal(e.text, text);
    assert_true(e.n_answers > 0);
    const lf_answer last = e.answers[e.n_answers - 1];
    if (last.end - last.begin != strlen(answer) || memcmp(e.text + last.begin, answer, strlen(answer)) != 0)
        fail_msg("%s: the answer is '%.*s', expected '%s'", record, (int)(last.end - last.begin), e.text + last.begin,
                 answer);
    lf_text_example_free(&e);
    lf_text_dataset_free(d);
}

static void test_pairs(void **state) {
    (void)state;
    static const struct {
        const char *layout, *record, *text, *answer;
    } cases[] = {
        {"prompt_response", "{\"prompt\": \"Hi\", \"response\": \"Yo\"}", "Hi\nYo", "Yo"},
        {"prompt_output", "{\"prompt\": \"Hi\", \"output\": \"Yo\"}", "Hi\nYo", "Yo"},
        {"query_response", "{\"query\": \"1+1\", \"response\": \"2\", \"type\": \"x\"}", "1+1\n2", "2"},
        {"question_response",
         "{\"id\": 1, \"system_prompt\": \"Be brief.\", \"question\": \"Why?\", \"response\": \"So.\"}",
         "Be brief.\nWhy?\nSo.", "So."},
        {"question_response", "{\"system_prompt\": \"\", \"question\": \"Why?\", \"response\": \"So.\"}", "Why?\nSo.",
         "So."},
        {"instruction_response", "{\"instruction\": \"Sum up.\", \"context\": \"A. B.\", \"response\": \"AB\"}",
         "Sum up.\nA. B.\nAB", "AB"},
        {"instruction_response", "{\"instruction\": \"Sing.\", \"context\": \"\", \"response\": \"la\"}", "Sing.\nla",
         "la"},
        {"instruction", "{\"system\": \"Be.\", \"instruction\": \"Add.\", \"input\": \"1 2\", \"output\": \"3\"}",
         "Be.\nAdd.\n1 2\n3", "3"},
        {"instruction",
         "{\"system\": \"\", \"instruction\": \"Add.\", \"input\": \"\", \"output\": \"3\", \"history\": []}",
         "Add.\n3", "3"},
        {"input_output", "{\"input\": \"a\", \"output\": \"b\"}", "a\nb", "b"},
        {"inputs_targets", "{\"inputs\": \"a\", \"targets\": \"b\"}", "a\nb", "b"},
        {"problem_solution", "{\"problem\": \"x=?\", \"level\": 5, \"solution\": \"1\"}", "x=?\n1", "1"},
        {"prompt_completion", "{\"prompt\": \"Hello\", \"completion\": \" world\"}", "Hello world", " world"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_form(cases[i].layout, cases[i].record, cases[i].text, cases[i].answer);
}

static void test_conversations(void **state) {
    (void)state;
    static const struct {
        const char *layout, *record, *text, *answer;
    } cases[] = {
        {"conversations",
         "{\"conversations\": [{\"from\": \"human\", \"value\": \"Hi\"}, {\"from\": \"gpt\", \"value\": \"Yo\"}]}",
         "<user>Hi;<assistant>Yo;", "Yo;"},
        {"conversations",
         "{\"system\": \"Be.\", \"conversations\": [{\"from\": \"user\", \"value\": \"Hi\"}, {\"from\": \"chatgpt\", "
         "\"value\": "
         "\"Yo\"}, {\"from\": \"observation\", \"value\": \"42\"}, {\"from\": \"model\", \"value\": \"So\"}]}",
         "<system>Be.;<user>Hi;<assistant>Yo;<tool>42;<assistant>So;", "So;"},
        {"conversations",
         "{\"conversations\": [{\"from\": \"system\", \"value\": \"Be.\"}, {\"from\": \"human\", \"value\": \"Hi\"},"
         " {\"from\": \"gpt\", \"value\": \"Yo\", \"weight\": 1}]}",
         "<system>Be.;<user>Hi;<assistant>Yo;", "Yo;"},
        {"conversations",
         "{\"tools\": \"[{}]\", \"conversations\": [{\"from\": \"human\", \"value\": \"Hi\"}, {\"from\": "
         "\"function_call\", "
         "\"value\": \"{\\\"name\\\": \\\"f\\\", \\\"arguments\\\": {\\\"x\\\": 1}}\"}]}",
         "[tools]<user>Hi;<assistant>...;", "...;"},
        {"conversations",
         "{\"conversations\": [{\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"assistant\", \"content\": "
         "\"Yo\"}]}",
         "<user>Hi;<assistant>Yo;", "Yo;"},
        {"conversation",
         "{\"conversation\": [{\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"assistant\", \"content\": "
         "\"Yo\"}]}",
         "<user>Hi;<assistant>Yo;", "Yo;"},
        {"prompt_messages",
         "{\"prompt\": [{\"role\": \"user\", \"content\": \"Hi\"}], \"completion\": [{\"role\": \"assistant\", "
         "\"content\": \"Yo\"}]}",
         "<user>Hi;<assistant>Yo;", "Yo;"},
        {"messages",
         "{\"tools\": \"\", \"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"tool\", "
         "\"content\": "
         "\"42\"}, {\"role\": \"assistant\", \"content\": \"Yo\"}]}",
         "<user>Hi;<tool>42;<assistant>Yo;", "Yo;"},
        {"messages",
         "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"Hi\"}]}, {\"role\": "
         "\"assistant\", \"content\": \"Yo\"}]}",
         "<user>...;<assistant>Yo;", "Yo;"},
        {"messages",
         "{\"system\": \"Be.\", \"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"assistant\", "
         "\"content\": \"Yo\"}]}",
         "<system>Be.;<user>Hi;<assistant>Yo;", "Yo;"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_form(cases[i].layout, cases[i].record, cases[i].text, cases[i].answer);
}

/* Which answers of a conversation are learned, by its marks. */
static void test_marks(void **state) {
    (void)state;
    static const struct {
        const char *mark; /* of the first of two answers */
        bool learned;
    } cases[] = {{"", true},
                 {", \"weight\": 0", false},
                 {", \"weight\": 0.0", false},
                 {", \"trainable\": false", false},
                 {", \"trainable\": true", true},
                 {", \"weight\": 1", true},
                 {", \"weight\": null", true},
                 {", \"train\": false", false},
                 {", \"train\": true", true},
                 {", \"training\": false", false},
                 {", \"loss\": false", false},
                 {", \"loss\": 0", false},
                 {", \"loss\": true", true},
                 {", \"weight\": 1, \"train\": false", false},
                 {", \"train_detail\": []", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char record[512];
        snprintf(record, sizeof record,
                 "{\"messages\": [{\"role\": \"user\", \"content\": \"?\"}, {\"role\": \"assistant\", \"content\": "
                 "\"A\"%s}, "
                 "{\"role\": \"assistant\", \"content\": \"B\"}]}",
                 cases[i].mark);
        put_text("f.jsonl", record);
        lf_text_dataset *d = open_text("f.jsonl");
        lf_text_example e = example_of(d);
        assert_int_equal(e.n_answers, cases[i].learned ? 2 : 1);
        assert_int_equal(e.marked, !cases[i].learned);
        lf_text_example_free(&e);
        lf_text_dataset_free(d);
    }
    /* Of a prompt in messages nothing is learned. */
    put_text(
        "f.jsonl",
        "{\"prompt\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}, "
        "{\"role\": \"user\", \"content\": \"c\"}], \"completion\": [{\"role\": \"assistant\", \"content\": \"d\"}]}");
    lf_text_dataset *d = open_text("f.jsonl");
    lf_text_example e = example_of(d);
    assert_int_equal(e.n_answers, 1);
    assert_memory_equal(e.text + e.answers[0].begin, "d;", 2);
    assert_false(e.marked);
    lf_text_example_free(&e);
    lf_text_dataset_free(d);
}

static void test_choices(void **state) {
    (void)state;
    static const struct {
        const char *layout, *record, *text, *answer;
        int64_t n, right;
    } cases[] = {
        {"arc",
         "{\"id\": \"x\", \"question\": \"Sky?\", \"choices\": {\"text\": [\"red\", \"blue\", \"green\"], \"label\": "
         "[\"A\", \"B\", "
         "\"C\"]}, \"answerKey\": \"B\"}",
         "Sky?\nblue", "blue", 3, 1},
        {"arc",
         "{\"question\": \"Sky?\", \"choices\": {\"text\": [\"red\", \"blue\", \"2\"], \"label\": [\"1\", \"2\", "
         "\"3\"]}, "
         "\"answerKey\": \"2\"}",
         "Sky?\nblue", "blue", 3, 1},
        {"arc",
         "{\"question\": \"Sky?\", \"question_concept\": \"sky\", \"choices\": {\"label\": [\"A\", \"B\"], \"text\": "
         "[\"blue\", "
         "\"A\"]}, \"answerKey\": \"A\"}", /* CommonsenseQA; a label before a text */
         "Sky?\nblue", "blue", 2, 0},
        {"openbookqa",
         "{\"question_stem\": \"The sky is\", \"choices\": {\"text\": [\"red\", \"blue\"], \"label\": [\"A\", \"B\"]}, "
         "\"answerKey\": \"B\"}",
         "The sky is blue", "blue", 2, 1},
        {"hellaswag",
         "{\"ind\": 1, \"ctx_a\": \"A man\", \"ctx_b\": \"he\", \"ctx\": \"A man sits. he\", \"endings\": [\"runs.\", "
         "\"stands up.\", \"1\"], \"label\": \"1\"}",
         "A man sits. he 1", "1", 3, 2},
        {"hellaswag",
         "{\"ctx\": \"A man sits. he\", \"endings\": [\"runs.\", \"stands up.\", \"x\", \"y\"], \"label\": \"1\"}",
         "A man sits. he stands up.", "stands up.", 4, 1},
        {"hellaswag",
         "{\"ctx\": \"A man sits. he\", \"endings\": [\"runs.\", \"stands up.\", \"x\", \"y\"], \"label\": 3}",
         "A man sits. he y", "y", 4, 3},
        {"swag",
         "{\"startphrase\": \"A man\", \"ending0\": \"a\", \"ending1\": \"b\", \"ending2\": \"c\", \"ending3\": \"d\", "
         "\"label\": 2}",
         "A man c", "c", 4, 2},
        {"boolq", "{\"question\": \"is it wet\", \"passage\": \"Rain.\", \"answer\": true}",
         "Rain.\nQuestion: is it wet?\nAnswer: yes", "yes", 2, 1},
        {"boolq", "{\"question\": \"is it wet\", \"passage\": \"Sun.\", \"answer\": false}",
         "Sun.\nQuestion: is it wet?\nAnswer: no", "no", 2, 0},
        {"boolq_label", "{\"question\": \"is it wet\", \"passage\": \"Rain.\", \"idx\": 0, \"label\": 1}",
         "Rain.\nQuestion: is it wet?\nAnswer: yes", "yes", 2, 1},
        {"piqa", "{\"goal\": \"Open it.\", \"sol1\": \"Pull.\", \"sol2\": \"Push.\", \"label\": 1}", "Open it.\nPush.",
         "Push.", 2, 1},
        {"winogrande",
         "{\"sentence\": \"Ian ate with Dennis as _ liked it.\", \"option1\": \"Ian\", \"option2\": \"Dennis\", "
         "\"answer\": "
         "\"2\"}",
         "Ian ate with Dennis as Dennis liked it.", "Dennis liked it.", 2, 1},
        {"winogrande", "{\"sentence\": \"As _ ate\", \"option1\": \"Ian\", \"option2\": \"Dennis\", \"answer\": 1}",
         "As Ian ate", "Ian ate", 2, 0},
        {"choices",
         "{\"question\": \"Sky?\", \"subject\": \"s\", \"choices\": [\"0\", \"1\", \"2\", \"3\"], \"answer\": 2}",
         "Sky?\n2", "2", 4, 2},
        {"social_iqa",
         "{\"context\": \"C.\", \"question\": \"Q?\", \"answerA\": \"a\", \"answerB\": \"b\", \"answerC\": \"c\", "
         "\"label\": "
         "\"3\"}",
         "C. Q?\nc", "c", 3, 2},
        {"sciq",
         "{\"question\": \"Q?\", \"distractor3\": \"x\", \"distractor1\": \"y\", \"distractor2\": \"z\", "
         "\"correct_answer\": \"w\", "
         "\"support\": \"S.\"}",
         "S.\nQ?\nw", "w", 4, 0},
        {"sciq",
         "{\"question\": \"Q?\", \"distractor3\": \"x\", \"distractor1\": \"y\", \"distractor2\": \"z\", "
         "\"correct_answer\": \"w\", "
         "\"support\": \"\"}",
         "Q?\nw", "w", 4, 0},
        {"race",
         "{\"article\": \"T.\", \"question\": \"Q?\", \"options\": [\"a\", \"b\", \"c\", \"d\"], \"answer\": \"D\"}",
         "T.\nQ?\nd", "d", 4, 3},
        {"boolq", "{\"question\": \"is it wet\", \"passage\": \"Rain.\", \"answer\": \"yes\"}",
         "Rain.\nQuestion: is it wet?\nAnswer: yes", "yes", 2, 1},
        {"boolq", "{\"question\": \"is it wet\", \"passage\": \"Sun.\", \"answer\": 0}",
         "Sun.\nQuestion: is it wet?\nAnswer: no", "no", 2, 0},
        {"boolq", "{\"question\": \"is it wet\", \"passage\": \"Sun.\", \"answer\": \"False\"}",
         "Sun.\nQuestion: is it wet?\nAnswer: no", "no", 2, 0},
        {"question_answer", "{\"question\": \"Q?\", \"passage\": \"P.\", \"answer\": \"1912\"}", "Q?\n1912", "1912", 0,
         -1},
        {"columns", "{\"question\": \"Q?\", \"answer\": \"B\", \"A\": \"a\", \"B\": \"b\", \"C\": \"c\", \"D\": \"d\"}",
         "Q?\nb", "b", 4, 1},
        {"columns", "{\"question\": \"Q?\", \"answer\": 3, \"A\": \"a\", \"B\": \"b\", \"C\": \"c\", \"D\": \"d\"}",
         "Q?\nd", "d", 4, 3},
        {"columns", "{\"question\": \"Q?\", \"answer\": \"cat\", \"A\": 1, \"B\": 2, \"C\": \"cat\", \"D\": \"\"}",
         "Q?\ncat", "cat", 3, 2},
        {"columns", /* a letter is the column's name before it is a choice */
         "{\"question\": \"Q?\", \"answer\": \"A\", \"A\": \"B\", \"B\": \"A\", \"C\": \"c\", \"D\": null}", "Q?\nB",
         "B", 3, 0},
        {"columns_e",
         "{\"question\": \"Q?\", \"answer\": \"e\", \"A\": \"1\", \"B\": \"2\", \"C\": \"3\", \"D\": \"4\", \"E\": "
         "\"5\"}",
         "Q?\n5", "5", 5, 4},
        {"columns_c", "{\"question\": \"Q?\", \"answer\": \"C\", \"A\": \"1\", \"B\": \"2\", \"C\": \"3\"}", "Q?\n3",
         "3", 3, 2},
        {"columns_option",
         "{\"question\": \"Q?\", \"answer\": \"option_b\", \"option_a\": \"a\", \"option_b\": \"b\", \"option_c\": "
         "\"c\", "
         "\"option_d\": \"d\"}",
         "Q?\nb", "b", 4, 1},
        {"medmcqa",
         "{\"question\": \"Q?\", \"opa\": \"a\", \"opb\": \"b\", \"opc\": \"c\", \"opd\": \"d\", \"cop\": 0}", "Q?\na",
         "a", 4, 0},
        {"medqa",
         "{\"question\": \"Q?\", \"answer\": \"b\", \"options\": {\"A\": \"x\", \"B\": \"b\"}, \"answer_idx\": \"B\"}",
         "Q?\nb", "b", 2, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_form(cases[i].layout, cases[i].record, cases[i].text, cases[i].answer);
        lf_text_dataset *d = open_text("f.jsonl");
        lf_text_example e = example_of(d);
        assert_int_equal(lf_text_dataset_is(d, LF_TEXT_CHOICES), cases[i].n > 0);
        assert_int_equal(e.n_choices, cases[i].n);
        assert_int_equal(e.answer, cases[i].right);
        lf_text_example_free(&e);
        lf_text_dataset_free(d);
    }
    /* Another prompt: choices stand by themselves then, those of a gap too. */
    put_text("f.jsonl",
             "{\"sentence\": \"As _ ate\", \"option1\": \"Ian\", \"option2\": \"Dennis\", \"answer\": \"1\"}");
    lf_text_dataset *d = open_with("f.jsonl", (lf_text_dataset_opts){.prompt_template = "{sentence} Who? "});
    lf_text_example e = example_of(d);
    assert_string_equal(e.text, "As _ ate Who? Ian");
    lf_text_example_free(&e);
    lf_text_dataset_free(d);
}

static void test_refused(void **state) {
    (void)state;
#define TALK(messages) "{\"messages\": [{\"role\": \"user\", \"content\": \"?\"}, " messages "]}"
    static const struct {
        const char *record, *says;
    } cases[] = {
        {"{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\"}",
         "line 1: 'chosen', 'rejected': preference data"},
        {"{\"chosen\": [{}], \"rejected\": [{}]}", "preference data"},
        {"{\"prompt\": \"a\", \"completion\": \"b\", \"label\": false}", "'label': preference data"},
        {"{\"prompt\": \"a\", \"completions\": [\"b\"], \"labels\": [true]}", "a reward model"},
        {"{\"instruction\": \"a\", \"output\": \"b\", \"history\": [[\"q\", \"a\"]]}", "'history': earlier turns"},
        {"{\"images\": [\"a.png\"], \"messages\": []}", "'images': pictures"},
        {"{\"goal\": \"g\", \"sol1\": \"a\", \"sol2\": \"b\", \"label\": -1}", "the answer is hidden ('label' is -1)"},
        {"{\"ctx\": \"g\", \"endings\": [\"a\", \"b\"], \"label\": \"\"}", "the answer is hidden ('label' is empty)"},
        {"{\"ctx\": \"g\", \"endings\": [\"a\", \"b\"], \"label\": \"-1\"}", "the answer is hidden"},
        {"{\"sentence\": \"a _\", \"option1\": \"a\", \"option2\": \"b\", \"answer\": \"\"}", "the answer is hidden"},
        {"{\"question\": \"Q\", \"answer\": \"B\", \"A\": \"a\", \"B\": null, \"C\": \"c\", \"D\": \"d\"}",
         "a text in the field of the right choice"},
        {"{\"question\": \"Q\", \"answer\": \"E\", \"A\": \"a\", \"B\": \"b\", \"C\": \"c\", \"D\": \"d\"}",
         "a letter from A to D, found \"E\""},
        {"{\"question\": \"Q\", \"answer\": \"D\", \"A\": \"a\", \"B\": \"b\", \"C\": \"c\", \"D\": \"\"}",
         "a letter from A to C, found \"D\""},
        {"{\"sentence\": \"a\", \"option1\": \"a\", \"option2\": \"b\", \"answer\": \"1\"}", "a '_' in the sentence"},
        {"{\"sentence\": \"a _\", \"option1\": \"a\", \"option2\": \"b\", \"answer\": \"0\"}", "a number from 1 to 2"},
        {"{\"sentence\": \"a _\", \"option1\": \"a\", \"option2\": \"b\", \"answer\": 3}", "a number from 1 to 2"},
        {"{\"question\": \"?\", \"choices\": [\"a\", \"b\"], \"answer\": true}", "expected an answer that is a number"},
        {"{\"question\": \"?\", \"choices\": {\"text\": [\"a\"], \"label\": [\"A\"]}, \"answerKey\": \"A\"}",
         "two or more"},
        {TALK("{\"role\": \"assistant\", \"content\": \"A\", \"weight\": 0.5}"), "message 1: 'weight' is 1 or true"},
        {TALK("{\"role\": \"assistant\", \"content\": \"A\", \"train\": \"no\"}"), "message 1: 'train' is 1 or true"},
        {"{\"prompt\": \"a\", \"completion\": \"b\", \"weight\": 0}",
         "line 1: 'weight' says that the record is not to"},
        {"{\"prompt\": \"a\", \"completion\": \"b\", \"weight\": 0.0}", "'weight' says"},
        {"{\"text\": \"a\", \"train\": false}", "'train' says"},
        {"{\"text\": \"a\", \"train\": \"False\"}", "'train' says"},
        {"{\"text\": \"a\", \"weight\": \"0.0\"}", "'weight' says"},
        {"{\"messages\": [], \"trainable\": false}", "'trainable' says"},
        {"{\"prompt\": \"a\", \"completion\": \"b\", \"masks\": [0, 1]}", "'masks' is a list of what is to be learned"},
        {"{\"messages\": [], \"weights\": [1, 0.5]}", "'weights' is a list"},
        {"{\"text\": \"ab\", \"loss_mask\": [true, false]}", "'loss_mask' is a list"},
        {TALK("{\"role\": \"assistant\", \"content\": \"A\", \"weights\": [0]}"), "message 1: parts of a message"},
        {TALK("{\"role\": \"assistant\", \"content\": \"A\", \"trainable\": 2}"),
         "message 1: 'trainable' is 1 or true"},
        {TALK("{\"role\": \"assistant\", \"content\": \"A\", \"training_detail\": [{}]}"), "'training_detail'"},
        {TALK("{\"role\": \"assistant\", \"content\": \"A\", \"weight\": 0}"),
         "a message of the assistant that is to be learned"},
        {"{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\", \"image_url\": {}}]}]}",
         "message 0: these models read text alone, and a part of the content is 'image_url'"},
        {"{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"input_audio\"}]}]}", "'input_audio'"},
        {"{\"conversations\": [{\"from\": \"function_call\", \"value\": \"f(x)\"}]}", "a call in JSON"},
        {"{\"conversations\": [{\"from\": \"function_call\", \"value\": \"{}\"}]}", "expected {\"name\""},
        {"{\"conversations\": [{\"from\": \"gpt\"}]}", "each message to be"},
        {"{\"system\": \"a\", \"messages\": [{\"role\": \"system\", \"content\": \"b\"}]}", "one system message"},
        {"{\"tools\": \"[\", \"messages\": [{\"role\": \"user\", \"content\": \"b\"}]}", "tools: line 1"},
        {"{\"tools\": \"3\", \"messages\": [{\"role\": \"user\", \"content\": \"b\"}]}", "a list of tools"},
        {"{\"prompt\": [{\"role\": \"user\", \"content\": \"Hi\"}], \"completion\": [{\"role\": \"user\", \"content\": "
         "\"Yo\"}]}",
         "a message of role 'assistant'"},
        {"{\"prompt\": [{\"role\": \"user\", \"content\": \"Hi\"}], \"completion\": \"Yo\"}",
         "found a list (of messages?"},
        {"{\"prompt\": \"a\"}",
         "expected the fields 'prompt', 'completion', or 'prompt', 'completion', or 'prompt', 'response'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lf_text_dataset *d = NULL;
        lf_text_example e;
        lf_err err = {0};
        put_text("f.jsonl", cases[i].record);
        lf_status rc = try_open(&d, "f.jsonl", (lf_text_dataset_opts){0}, &err);
        if (!rc) rc = lf_text_dataset_example(d, 0, &e, &err);
        assert_says(rc, LF_EDATA, err, cases[i].says);
        lf_text_dataset_free(d);
    }
}

/* Marks that say nothing against learning, or are not marks where one field is asked for by name. */
static void test_harmless_marks(void **state) {
    (void)state;
    static const struct {
        const char *record, *field;
    } cases[] = {{"{\"text\": \"a\", \"weight\": 1, \"train\": true, \"loss\": null}", NULL},
                 {"{\"text\": \"a\", \"weight\": 0.5}", NULL},
                 {"{\"text\": \"a\", \"weight\": \"0 kg\", \"masks\": \"none\"}", NULL},
                 {"{\"text\": \"a\", \"masks\": [1, true, 1.0], \"weights\": []}", NULL},
                 {"{\"text\": \"a\", \"weight\": 0, \"masks\": [0]}", "text"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lf_text_dataset *d = NULL;
        lf_text_example e;
        lf_err err = {0};
        put_text("f.jsonl", cases[i].record);
        assert_ok(try_open(&d, "f.jsonl", (lf_text_dataset_opts){.text_field = cases[i].field}, &err), err);
        assert_ok(lf_text_dataset_example(d, 0, &e, &err), err);
        assert_string_equal(e.text, "a");
        lf_text_example_free(&e);
        lf_text_dataset_free(d);
    }
}

/* A mark that is followed cannot be, where all of the text is learned. */
static void test_marked_and_loss_everywhere(void **state) {
    (void)state;
    stand_in s = {0};
    const lf_text_encoder encoder = encoder_over(&s);
    const lf_text_encode_opts how = {.max_seq_length = 100, .loss_on_prompt = true};
    lf_text_coder c;
    lf_text_tokens t = {0};
    lf_err err = {0};
    int64_t cut;
    put_text(
        "f.jsonl",
        TALK("{\"role\": \"assistant\", \"content\": \"A\", \"weight\": 0}, {\"role\": \"assistant\", \"content\": "
             "\"B\"}"));
    lf_text_dataset *d = open_text("f.jsonl");
    assert_ok(lf_text_coder_init(&c, &encoder, &how, &err), err);
    assert_says(lf_text_dataset_tokens(d, 0, &c, &t, &cut, &err), LF_EDATA, err, "completion_only_loss");
    lf_text_tokens_free(&t);
    lf_text_coder_free(&c);
    lf_text_dataset_free(d);
}

/* ---- what is not read ---- */

static bool reads_name(void *context, const char *key) {
    (void)context;
    return !strcmp(key, "name") || !strcmp(key, "tool_calls");
}

/* All that a loader says of this file. */
static void check_unread(const char *content, const char *prompt_template, const char *const *says, size_t n) {
    static const lf_text_chat chat = {.render = stand_in_render, .reads = reads_name};
    stand_in s = {0};
    const lf_text_encoder encoder = encoder_over(&s);
    lf_text_dataset *d;
    lf_text_loader *l;
    lf_err err = {0};
    put_text("u.jsonl", content);
    cJSON *spec = cJSON_CreateString(in_scratch("u.jsonl"));
    const lf_text_dataset_opts o = {.spec = spec, .key = "data", .chat = &chat, .prompt_template = prompt_template};
    assert_ok(lf_text_dataset_open(&d, &o, &err), err);
    cJSON_Delete(spec);
    const lf_text_loader_opts how = {.batch_size = 2, .max_seq_length = 100, .scan = true, .workers = 3, .epochs = 2};
    hear_begin(LF_LOG_INFO);
    assert_ok(lf_text_loader_new(&l, d, &encoder, &how, &err), err);
    const lf_text_batch *b;
    do assert_ok(lf_text_loader_next(l, &b, &err), err);
    while (b);
    const char *said = hear_end();
    for (size_t i = 0; i < n; i++) assert_heard(said, says[i]);
    if (n == 0) assert_null(strstr(said, "not read"));
    for (size_t i = 0; i < n; i++) /* in two epochs once */
        if (strstr(strstr(said, says[i]) + 1, says[i])) fail_msg("'%s' says '%s' twice", said, says[i]);
    lf_text_loader_free(l);
    lf_text_dataset_free(d);
}

static void test_unread(void **state) {
    (void)state;
    check_unread(
        "{\"text\": \"a\", \"id\": 1, \"source\": \"x\"}\n{\"text\": \"b\", \"id\": 2, \"empty\": \"\", \"none\": "
        "null}\n"
        "{\"text\": \"c\", \"id\": 3, \"label\": 0}\n",
        NULL,
        (const char *const[]){"fields that are not read: 3 \"id\", 1 \"source\"\n", "they may matter: 1 \"label\"\n"},
        2);
    check_unread("{\"text\": \"a\"}\n{\"text\": \"b\"}\n", NULL, NULL, 0);
    check_unread("{\"instruction\": \"a\", \"input\": \"b\", \"output\": \"c\"}\n",
                 "{instruction}:", (const char *const[]){"they may matter: 1 \"input\"\n"}, 1);
    check_unread("{\"instruction\": \"a\", \"input\": \"b\", \"output\": \"c\"}\n", NULL, NULL, 0);
    check_unread("{\"prompt\": \"x\", \"messages\": [{\"role\": \"user\", \"content\": \"?\", \"name\": \"Jo\", "
                 "\"id\": 7, \"train\": true},"
                 " {\"role\": \"assistant\", \"content\": \"A\", \"id\": 8, \"weight\": 1, \"note\": null}]}\n",
                 NULL,
                 (const char *const[]){"change nothing: 2 \"id\", 1 \"train\": true of 'user'\n", "1 \"prompt\"\n"}, 2);
    check_unread("{\"tools\": [{}], \"messages\": [{\"role\": \"assistant\", \"content\": \"A\"}]}\n", NULL,
                 (const char *const[]){"1 \"tools\" of the record\n"}, 1);
    /* a role that is misspelt, and one that the template names (it is that of the stand-in: name) */
    check_unread(
        "{\"messages\": [{\"role\": \"user\", \"content\": \"?\"}, {\"role\": \"assistant\", \"content\": "
        "\"A\"}, {\"role\": \"assistnat\", \"content\": \"B\"}]}\n"
        "{\"messages\": [{\"from\": \"human\", \"value\": \"?\"}, {\"from\": \"robot\", \"value\": \"B\"}, "
        "{\"from\": \"gpt\", \"value\": \"C\"}, {\"from\": \"name\", \"value\": \"D\"}]}\n"
        "{\"messages\": [{\"role\": \"assistnat\", \"content\": \"?\"}, {\"role\": \"assistant\", \"content\": "
        "\"A\"}]}\n",
        NULL, (const char *const[]){"neither: 2 \"assistnat\", 1 \"robot\"; what they say"}, 1);
    check_unread(
        "{\"messages\": [{\"role\": \"user\", \"content\": \"\"}, {\"role\": \"assistant\", \"content\": \" A\"}, "
        "{\"role\": \"assistant\", \"content\": \"\", \"name\": \"it says this\"}, "
        "{\"role\": \"assistant\", \"content\": \" \", \"train\": false}]}\n"
        "{\"messages\": [{\"role\": \"user\", \"content\": \"?\"}, {\"role\": \"assistant\", \"content\": \"\"},"
        " {\"role\": \"user\", \"content\": \"?\"}, {\"role\": \"assistant\", \"content\": \" \\n\\t\"}]}\n",
        NULL, (const char *const[]){"2 answers are empty or blank", "(the first: u.jsonl: line 2)"}, 2);
    check_unread("{\"prompt\": \"a\", \"completion\": \" \"}\n{\"prompt\": \"a\", \"completion\": \"b\"}\n", NULL,
                 (const char *const[]){"1 answers are empty or blank"}, 1);
    check_unread(
        "{\"question\": \"q\", \"answer\": \"x\", \"options\": {\"A\": \"x\", \"B\": \"y\"}, \"answer_idx\": \"A\"}\n",
        NULL, NULL, 0);
    check_unread("{\"question\": \"q\", \"answer\": \"a\", \"passage\": \"p\", \"answer_start\": 3}\n", NULL,
                 (const char *const[]){"they may matter: 1 \"passage\"\n", "not read: 1 \"answer_start\"\n"}, 2);
}

/* Names without end are counted, not kept. */
static void test_unread_names(void **state) {
    (void)state;
    lf_text_unread *u;
    lf_err err = {0};
    char name[32];
    assert_ok(lf_text_unread_new(&u, &err), err);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "k%d", i);
        assert_true(lf_text_unread_add(u, LF_TEXT_UNREAD_FIELD, name));
        assert_true(lf_text_unread_add(u, LF_TEXT_UNREAD_FIELD, "k7"));
    }
    hear_begin(LF_LOG_INFO);
    lf_text_unread_say(u, "here");
    lf_text_unread_say(u, "here");
    const char *said = hear_end();
    assert_heard(said, "here: fields that are not read: 1001 \"k7\", 936 of other names");
    assert_null(strstr(strchr(said, '\n') + 1, "here"));
    assert_true(lf_text_unread_add(u, LF_TEXT_UNREAD_FIELD, "later"));
    assert_true(lf_text_unread_add(NULL, LF_TEXT_UNREAD_KEY, "nowhere"));
    lf_text_unread_free(u);
}

static void test_no_memory(void **state) {
    (void)state;
    put_text("f.jsonl", "{\"tools\": \"[{}]\", \"extra\": 1, \"system\": \"s\", \"conversations\": [{\"from\": "
                        "\"human\", \"value\": \"Hi\"}, "
                        "{\"from\": \"function_call\", \"value\": \"{\\\"name\\\": \\\"f\\\"}\", \"x\": 1}]}");
    lf_text_dataset *d = open_text("f.jsonl");
    const int64_t live = lf_alloc_live();
    lf_status rc = LF_ENOMEM;
    int64_t k = 0;
    for (; rc == LF_ENOMEM; k++) {
        lf_text_example e;
        lf_err err = {0};
        lf_alloc_fail_after(k);
        rc = lf_text_dataset_example(d, 0, &e, &err);
        lf_alloc_fail_after(-1);
        if (rc) {
            assert_int_equal(rc, LF_ENOMEM);
            continue;
        }
        lf_text_example_free(&e);
    }
    assert_true(k > 20);
    assert_true(lf_alloc_live() - live <= 2); /* the names of what is not read are kept */
    lf_text_dataset_free(d);
}

/* A page of the web may be wanted as text, so it is trained; but it is told of. */
static void test_pages_as_text(void **state) {
    (void)state;
    lf_text_dataset *d;
    lf_err err = {0};
    put_text("page.txt", "<!DOCTYPE html>\n<html><p>Not found</p></html>\n");
    hear_begin(LF_LOG_INFO);
    assert_ok(try_open(&d, "page.txt", (lf_text_dataset_opts){0}, &err), err);
    assert_heard(hear_end(), "page.txt' like a web page");
    lf_text_dataset_free(d);
    put_text("page.txt", "A <html> is a tag.\n");
    hear_begin(LF_LOG_INFO);
    assert_ok(try_open(&d, "page.txt", (lf_text_dataset_opts){0}, &err), err);
    assert_null(strstr(hear_end(), "web page"));
    lf_text_dataset_free(d);
}

/* ---- prompts ---- */

static void test_prompts(void **state) {
    (void)state;
    static const struct {
        const char *layout, *record, *text, *wanted;
    } cases[] = {
        {"prompt_completion", "{\"prompt\": \"Hi\"}", "Hi", NULL},
        {"prompt_completion", "{\"prompt\": \"Hi\", \"completion\": \" you\"}", "Hi", " you"},
        {"prompt_completion", "{\"prompt\": \"Hi\", \"completion\": null}", "Hi", NULL},
        {"prompt_response", "{\"prompt\": \"Hi\", \"response\": \"Yo\"}", "Hi\n", "Yo"},
        {"instruction", "{\"instruction\": \"Add.\", \"input\": \"1 2\"}", "Add.\n1 2\n", NULL},
        {"question_answer", "{\"question\": \"Why?\"}", "Why?\n", NULL},
        {"query_response", "{\"query\": \"1+1\"}", "1+1\n", NULL},
        {"text", "{\"text\": \"Once\"}", "Once", NULL},
        {"choices", "{\"question\": \"q\", \"choices\": [\"a\", \"b\"], \"answer\": \"B\"}", "q\n", "b"},
        {"choices", "{\"question\": \"q\", \"choices\": [\"a\", \"b\"], \"answer\": -1}", "q\n", NULL},
        {"choices", "{\"question\": \"q\", \"choices\": [\"a\", \"b\"]}", "q\n", NULL},
        {"hellaswag", "{\"ctx\": \"He\", \"endings\": [\"a\", \"b\"], \"label\": \"\"}", "He ", NULL},
        {"winogrande", "{\"sentence\": \"the _ ran\", \"option1\": \"cat\", \"option2\": \"dog\", \"answer\": \"1\"}",
         "the ", "cat ran"},
        {"messages", "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]}", "<user>Hi;<assistant>", NULL},
        {"messages",
         "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}, "
         "{\"role\": \"user\", \"content\": \"c\"}, {\"role\": \"assistant\", \"content\": \"d\"}]}",
         "<user>a;<assistant>b;<user>c;<assistant>", "d"},
        {"messages", "{\"system\": \"s\", \"messages\": [{\"role\": \"user\", \"content\": \"a\", \"weight\": 0}]}",
         "<system>s;<user>a;<assistant>", NULL},
        {"prompt_messages", "{\"prompt\": [{\"role\": \"user\", \"content\": \"a\"}]}", "<user>a;<assistant>", NULL},
        {"prompt_messages",
         "{\"prompt\": [{\"role\": \"user\", \"content\": \"a\"}], \"completion\": [{\"role\": \"assistant\", "
         "\"content\": \"b\"}]}",
         "<user>a;<assistant>", "b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_text("p.jsonl", cases[i].record);
        lf_text_dataset *d = open_with("p.jsonl", (lf_text_dataset_opts){.prompts = true});
        assert_string_equal(lf_text_dataset_layout(d), cases[i].layout);
        lf_text_example e = example_of(d);
        if (strcmp(e.text, cases[i].text) || e.n != strlen(cases[i].text) || e.n_answers)
            fail_msg("%s: the prompt is '%s', expected '%s'", cases[i].record, e.text, cases[i].text);
        if (!e.wanted != !cases[i].wanted || (e.wanted && strcmp(e.wanted, cases[i].wanted)))
            fail_msg("%s: wanted is '%s'", cases[i].record, e.wanted ? e.wanted : "none");
        lf_text_example_free(&e);
        lf_text_dataset_free(d);
    }
}

static void test_a_system_message_for_prompts(void **state) {
    (void)state;
    static const char *const records[][2] = {
        {"{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}", "<system>asked;<user>a;<assistant>"},
        {"{\"messages\": [{\"role\": \"system\", \"content\": \"own\"}, {\"role\": \"user\", \"content\": \"a\"}]}",
         "<system>own;<user>a;<assistant>"},
        {"{\"system\": \"own\", \"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}",
         "<system>own;<user>a;<assistant>"}};
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        put_text("p.jsonl", records[i][0]);
        lf_text_dataset *d = open_with("p.jsonl", (lf_text_dataset_opts){.prompts = true, .system = "asked"});
        lf_text_example e = example_of(d);
        assert_string_equal(e.text, records[i][1]);
        lf_text_example_free(&e);
        lf_text_dataset_free(d);
    }
}

/* ---- examples before a prompt, choices in it ---- */

static void test_choices_in_a_template(void **state) {
    (void)state;
    static const char asked[] = "{question}\n{choices}\nAnswer: ";
    static const char *const records[][2] = {
        {"{\"question\": \"Which?\", \"choices\": [\"red\", \"blue\"], \"answer\": 1}",
         "Which?\nA. red\nB. blue\nAnswer: blue"},
        {"{\"question\": \"Which?\", \"A\": \"x\", \"B\": \"y\", \"C\": \"z\", \"answer\": \"A\"}",
         "Which?\nA. x\nB. y\nC. z\nAnswer: x"}};
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        put_text("c.jsonl", records[i][0]);
        lf_text_dataset *d = open_with("c.jsonl", (lf_text_dataset_opts){.prompt_template = asked});
        lf_text_example e = example_of(d);
        assert_string_equal(e.text, records[i][1]);
        lf_text_example_free(&e);
        lf_text_dataset_free(d);
    }
}

static lf_status open_shots(lf_text_shots **out, const char *name, int64_t k, lf_err *err) {
    cJSON *spec = cJSON_CreateString(in_scratch(name));
    assert_non_null(spec);
    const lf_status rc =
        lf_text_shots_open(out, &(lf_text_dataset_opts){.spec = spec, .key = "fewshot_data"}, k, 3, err);
    cJSON_Delete(spec);
    return rc;
}

/* Of two records of one file each has the other one before it. */
static void test_shots(void **state) {
    (void)state;
    static const char *const texts[] = {"1+1\n2\n\n2+3\n5", "2+3\n5\n\n1+1\n2"};
    lf_text_shots *s;
    lf_err err = {0};
    put_text("s.jsonl", "{\"question\": \"2+3\", \"answer\": \"5\"}\n{\"question\": \"1+1\", \"answer\": \"2\"}\n");
    assert_ok(open_shots(&s, "s.jsonl", 1, &err), err);
    const lf_text_before before = {lf_text_shots_put_before, s};
    for (int prompts = 0; prompts < 2; prompts++) {
        lf_text_dataset *d = open_with("s.jsonl", (lf_text_dataset_opts){.before = &before, .prompts = prompts});
        for (int i = 0; i < 2; i++) {
            lf_text_example e;
            assert_ok(lf_text_dataset_example(d, i, &e, &err), err);
            const size_t n = strlen(texts[i]);
            assert_int_equal(e.n, prompts ? n - 1 : n);
            assert_memory_equal(e.text, texts[i], e.n);
            if (!prompts) assert_true(e.n_answers == 1 && e.answers[0].begin == n - 1 && e.answers[0].end == n);
            lf_text_example_free(&e);
        }
        lf_text_dataset_free(d);
    }
    /* what is asked is not shown, and then there are too few */
    put_text("t.jsonl", "{\"question\": \"2+3\", \"answer\": \"five\"}");
    lf_text_shots_free(s);
    assert_ok(open_shots(&s, "s.jsonl", 2, &err), err);
    const lf_text_before two = {lf_text_shots_put_before, s};
    lf_text_dataset *d = open_with("t.jsonl", (lf_text_dataset_opts){.before = &two});
    lf_text_example e;
    assert_int_equal(lf_text_dataset_example(d, 0, &e, &err), LF_EDATA);
    assert_non_null(strstr(err.message, "1 records that ask something else than '2+3"));
    lf_text_dataset_free(d);
    lf_text_shots_free(s);
}

/* Choices are scored behind them. */
static void test_shots_before_choices(void **state) {
    (void)state;
    lf_text_shots *s;
    lf_err err = {0};
    put_text("s.jsonl", "{\"question\": \"a?\", \"choices\": [\"x\", \"y\"], \"answer\": 1}");
    put_text("t.jsonl", "{\"question\": \"b?\", \"choices\": [\"no\", \"yes\"], \"answer\": 0}");
    assert_ok(open_shots(&s, "s.jsonl", 1, &err), err);
    const lf_text_before before = {lf_text_shots_put_before, s};
    lf_text_dataset *d = open_with("t.jsonl", (lf_text_dataset_opts){.before = &before});
    lf_text_example e = example_of(d);
    assert_string_equal(e.text, "a?\ny\n\nb?\nno");
    assert_ok(lf_text_example_choose(&e, 1, &err), err);
    assert_string_equal(e.text, "a?\ny\n\nb?\nyes");
    lf_text_example_free(&e);
    lf_text_dataset_free(d);
    lf_text_shots_free(s);
}

static void test_no_shots(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"{\"text\": \"a\"}", "texts without an answer"},
        {"{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}]}",
         "chat template"},
        {"{\"prompt\": \"a\", \"completion\": \"b\"}", "1 records, expected at least the 2 of num_fewshot"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lf_text_shots *s = NULL;
        lf_err err = {0};
        put_text("s.jsonl", cases[i][0]);
        assert_int_equal(open_shots(&s, "s.jsonl", 2, &err), LF_EDATA);
        if (!strstr(err.message, cases[i][1])) fail_msg("%s", err.message);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choices_in_a_template),
        cmocka_unit_test(test_shots),
        cmocka_unit_test(test_shots_before_choices),
        cmocka_unit_test(test_no_shots),
        cmocka_unit_test(test_prompts),
        cmocka_unit_test(test_a_system_message_for_prompts),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_conversations),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_harmless_marks),
        cmocka_unit_test(test_marked_and_loss_everywhere),
        cmocka_unit_test(test_unread),
        cmocka_unit_test(test_pages_as_text),
        cmocka_unit_test(test_unread_names),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
