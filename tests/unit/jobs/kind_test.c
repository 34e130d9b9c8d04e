// SPDX-License-Identifier: Apache-2.0
// What the kinds share: paths, sentences, and answers that are bounded wherever they are shown.
#include "kind_support.h"

#include "../../../src/jobs/kind_priv.h"

static void kinds_have_names(void **state)
{
    static const char *const names[ACTION_KINDS] = {"invoke", "execute", "publish", "configure"};
    (void)state;
    for (unsigned i = 0; i < ACTION_KINDS; i++)
        assert_string_equal(job_kind((enum config_kind)i)->name, names[i]);
}

static void paths_are_percent_encoded(void **state)
{
    struct config_action action = {.action_id = "a~b.c-d_e"};
    struct kind_context context = {.action = &action};
    struct job_op op = {0};
    (void)state;
    kind_plan_request(&op, &context,
                      &(struct kind_request){.method = "GET",
                                             .path = "x",
                                             .fallback = "/{actionId}/{id}/{id}?q={id}",
                                             .name = "id",
                                             .value = "\x01 /?#[]@%\xff\xc3\xa4"});
    assert_string_equal(buf_text(&op.path), "/a~b.c-d_e/%01%20%2F%3F%23%5B%5D%40%25%FF%C3%A4/"
                                            "%01%20%2F%3F%23%5B%5D%40%25%FF%C3%A4?q="
                                            "%01%20%2F%3F%23%5B%5D%40%25%FF%C3%A4");
    job_op_deinit(&op);
}

static char *error_of(const char *body, size_t length)
{
    struct buf error = {0};
    struct tape json;
    struct job_answer answer = {
        .type = JOB_ANSWER_HTTP, .status = 400, .body = body, .body_length = length};
    tape_init(&json, 0);
    if (tape_parse(&json, body, length))
        answer.json = &json;
    char *sentence = kind_sentence(&answer);
    kind_begin_error(&error, &answer, "%s", sentence);
    buf_append_text(&error, "}");
    char *text = mem_strdup(buf_text(&error));
    tape_deinit(&json);
    free(sentence);
    buf_deinit(&error);
    return text;
}

static void is_error(const char *body, const char *expected)
{
    char *json = quoted(body);
    char *want = quoted(expected);
    char *text = error_of(json, strlen(json));
    assert_string_equal(text, want);
    free(text);
    free(want);
    free(json);
}

static void answers_in_errors(void **state)
{
    (void)state;
    is_error("", "{'message':'HTTP 400','status':400}");
    is_error("{ 'message' : 'no', 'n': [ 1 ] }",
             "{'message':'HTTP 400: no','status':400,'answer':{'message':'no','n':[1]}}");
    is_error("<p>\nno\x01</p>",
             "{'message':'HTTP 400: <p> no </p>','status':400,'answer':'<p>\\nno\\u0001</p>'}");
    is_error("\xff\xc3\xa4", "{'message':'HTTP 400:  \xc3\xa4','status':400,'answer':"
                             "'\xef\xbf\xbd\xc3\xa4'}");
}

static void long_answers_are_cut(void **state)
{
    size_t length = KIND_ANSWER_MAX + 10;
    char *body = mem_alloc(length);
    (void)state;
    for (int json = 0; json < 2; json++) {
        memset(body, 'x', length);
        if (json)
            body[0] = body[length - 1] = '"';
        char *text = error_of(body, length);
        assert_true(strlen(text) < KIND_ANSWER_MAX + 600);
        assert_true(strlen(text) > KIND_ANSWER_MAX);
        assert_non_null(strstr(text, "xxx...\",\"status\":400,\"answer\":\""));
        free(text);
    }
    free(body);
}

static void numbers_that_jsonb_holds(void **state)
{
    static const struct {
        const char *text;
        bool fits;
    } cases[] = {{"0", true},       {"-1.5e+999", true}, {"1E-999", true},
                 {"1e1000", false}, {"1e-1000", false},  {"1E+99999999999", false}};
    char digits[1001];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(json_number_fits(cases[i].text, strlen(cases[i].text)), cases[i].fits);
    memset(digits, '1', sizeof(digits));
    assert_true(json_number_fits(digits, 1000));
    assert_false(json_number_fits(digits, 1001));
}

static void faults_are_cut(void **state)
{
    struct job_faults faults = {0};
    char *text = mem_alloc(2000);
    (void)state;
    memset(text, 'p', 1999);
    text[1999] = '\0';
    job_faults_add(&faults, text, "%s", text);
    assert_int_equal(faults.count, 1);
    assert_int_equal(strlen(faults.items[0].pointer), sizeof(faults.items[0].pointer) - 1);
    assert_int_equal(strlen(faults.items[0].message), sizeof(faults.items[0].message) - 1);
    job_faults_free(&faults);
    assert_null(faults.items);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_have_names),         cmocka_unit_test(paths_are_percent_encoded),
        cmocka_unit_test(answers_in_errors),        cmocka_unit_test(long_answers_are_cut),
        cmocka_unit_test(numbers_that_jsonb_holds), cmocka_unit_test(faults_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
