// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/token_answer_priv.h"
#include "config/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_text(const char *what, const char *is, const char *wanted)
{
    if (is == NULL && wanted == NULL)
        return;
    if (is == NULL || wanted == NULL || strcmp(is, wanted) != 0)
        fail_msg("%s is \"%s\", not \"%s\"", what, is != NULL ? is : "(null)",
                 wanted != NULL ? wanted : "(null)");
}

static struct token_answer parse(const char *body)
{
    struct token_answer answer;
    struct status st = {0};
    if (token_answer_parse(body, strlen(body), &answer, &st) != STATUS_OK)
        fail_msg("%s: %s", body, st.detail);
    return answer;
}

static void test_answers(void **state)
{
    (void)state;
    static const struct {
        const char *body, *access, *refresh, *scope;
        int64_t life_us;
    } cases[] = {
        {"{\"access_token\":\"a.b-c\",\"token_type\":\"Bearer\",\"expires_in\":3600,"
         "\"scope\":\"x y\",\"refresh_token\":\"r\"}",
         "a.b-c", "r", "x y", 3600 * US_PER_S},
        {"{\"accessToken\":\"a\",\"tokenType\":\"bEARER\",\"expiresIn\":\"60\","
         "\"refreshToken\":\"r\"}",
         "a", "r", NULL, 60 * US_PER_S},
        {" {\"access_token\":\"\\u0061\\/+=~\",\"expires_in\":59.5,\"more\":[{}]} ", "a/+=~", NULL,
         NULL, 59500 * US_PER_MS},
        {"{\"access_token\":\"a\",\"expires_in\":null,\"refresh_token\":\"\"}", "a", NULL, NULL,
         -1},
        {"{\"access_token\":null,\"accessToken\":\"a\",\"expires_in\":0}", "a", NULL, NULL, -1},
        {"{\"access_token\":\"a\",\"expires_in\":-5}", "a", NULL, NULL, -1},
        {"{\"access_token\":\"a\",\"expires_in\":\"soon\"}", "a", NULL, NULL, -1},
        {"{\"access_token\":\"a\",\"expires_in\":[1]}", "a", NULL, NULL, -1},
        {"{\"access_token\":\"a\",\"expires_in\":0.001}", "a", NULL, NULL, US_PER_S},
        {"{\"access_token\":\"a\",\"expires_in\":1e300,\"token_type\":null}", "a", NULL, NULL,
         TOKEN_LIFE_MAX_US},
        {"{\"access_token\":\"a\",\"expires_in\":1e999}", "a", NULL, NULL, TOKEN_LIFE_MAX_US},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct token_answer answer = parse(cases[i].body);
        assert_text("access token", answer.access_token, cases[i].access);
        assert_text("refresh token", answer.refresh_token, cases[i].refresh);
        assert_text("scope", answer.scope, cases[i].scope);
        assert_int_equal(answer.expires_in_us, cases[i].life_us);
        token_answer_deinit(&answer);
    }
}

static void test_answers_that_are_none(void **state)
{
    (void)state;
    static const struct {
        const char *body, *words;
    } cases[] = {
        {"", "not JSON"},
        {"<html>hello</html>", "not JSON"},
        {"[]", "not a JSON object"},
        {"{}", "no access_token"},
        {"{\"access_token\":\"\"}", "no access_token"},
        {"{\"access_token\":7}", "no access_token"},
        {"{\"access_token\":\"a\\r\\nX: y\"}", "no header can carry"},
        {"{\"access_token\":\"a b\"}", "no header can carry"},
        {"{\"access_token\":\"s3cret\xc3\xa9\"}", "no header can carry"},
        {"{\"access_token\":\"s3cret\",\"token_type\":\"mac\",\"refresh_token\":\"r\"}",
         "token_type is not Bearer"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct token_answer answer;
        struct status st;
        assert_int_equal(token_answer_parse(cases[i].body, strlen(cases[i].body), &answer, &st),
                         STATUS_INVALID);
        assert_non_null(strstr(st.detail, cases[i].words));
        assert_null(strstr(st.detail, "s3cret"));
        assert_null(answer.access_token);
    }
}

static void test_explanations(void **state)
{
    (void)state;
    static const struct {
        const char *body, *wanted;
    } cases[] = {
        {"{\"error\":\"invalid_client\",\"error_description\":\"No such client\",\"code\":1}",
         "No such client"},
        {"{\"code\":1,\"message\":\"m\",\"errorDescription\":\"e\"}", "e"},
        {"{\"error\":\"x\",\"message\":\"m\"}", "m"},
        {"{\"error\":\"invalid_scope\"}", "invalid_scope"},
        {"{\"error_description\":\"\",\"error\":\"x\"}", "x"},
        {"{\"code\":4711}", "4711"},
        {"{\"error\":{\"code\":\"C\",\"message\":\"deep\"}}", "deep"},
        {"{\"error\":{\"error\":{\"message\":\"too deep\"}},\"code\":\"c\"}", "c"},
        {"<html>Bad gateway</html>", "<html>Bad gateway</html>"},
        {"", "no explanation"},
        {"line\r\n\x01 two \xff", "line    two  "},
        // Secrets, as they are and percent-encoded, and what looks like one.
        {"{\"error\":\"bad secret p&ss word!\"}", "bad secret ***!"},
        {"POST /t?client_secret=p%26ss+word&x=1", "POST /t?client_secret=***&x=1"},
        {"refused p%26ss%20word and old-bearer, the-refresh", "refused *** and ***, ***"},
        {"a b%41+c, a%20b%2541%2Bc, a+b%2541+c", "***, ***, ***"},
        {"a bA+c", "a bA+c"},
        {"token eyJhbGciOiJSUzI1NiIsInR5cCI6.eyJzdWIiOiIxMjM0NTY3ODkwIn0 expired",
         "token ***.*** expired"},
        {"incomprehensibilities-are-words", "incomprehensibilities-are-words"},
    };
    struct config_auth config = {.client_secret = "p&ss word", .password = "", .token = "a b%41+c"};
    const char *const more[2] = {"old-bearer", "the-refresh"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf text = {0};
        token_answer_explain(cases[i].body, strlen(cases[i].body), &config, more, &text);
        assert_text("explanation", buf_text(&text), cases[i].wanted);
        buf_deinit(&text);
    }
}

static void test_explanation_is_bounded(void **state)
{
    (void)state;
    char body[2000];
    for (size_t i = 0; i < sizeof(body); i += 4)
        memcpy(body + i, "ab, ", 4);
    struct config_auth config = {0};
    const char *const more[2] = {NULL, NULL};
    struct buf text = {0};
    token_answer_explain(body, sizeof(body), &config, more, &text);
    assert_true(text.len > 150 && text.len < 220);
    assert_memory_equal(text.data + text.len - 3, "...", 3);
    buf_deinit(&text);
}

static void test_scope_missing(void **state)
{
    (void)state;
    static const struct {
        const char *wanted, *granted, *missing;
    } cases[] = {
        {"a b", "b a", ""}, {"a b", "a", "b"},       {"a  b c ", " c", "a b"},
        {"", "x", ""},      {"ab", "a b abc", "ab"}, {"a b", "", "a b"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf missing = {0};
        token_scope_missing(cases[i].wanted, cases[i].granted, &missing);
        assert_text("missing", buf_text(&missing), cases[i].missing);
        buf_deinit(&missing);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),       cmocka_unit_test(test_answers_that_are_none),
        cmocka_unit_test(test_explanations),  cmocka_unit_test(test_explanation_is_bounded),
        cmocka_unit_test(test_scope_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
