// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/token.h"
#include "config/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORM "application/x-www-form-urlencoded"
#define JSON "application/json"

struct expected {
    const char *url, *body, *content_type, *authorization;
};

static void assert_text(const char *what, const char *is, const char *wanted)
{
    if (is == NULL && wanted == NULL)
        return;
    if (is == NULL || wanted == NULL || strcmp(is, wanted) != 0)
        fail_msg("%s is \"%s\", not \"%s\"", what, is != NULL ? is : "(null)",
                 wanted != NULL ? wanted : "(null)");
}

static void check(const struct config_auth *config, const char *refresh_token,
                  const struct expected *wanted)
{
    struct token_request request;
    token_request_build(config, refresh_token, &request);
    assert_text("url", request.url, wanted->url);
    assert_text("body", request.body, wanted->body);
    assert_text("content type", request.content_type, wanted->content_type);
    assert_text("authorization", request.authorization, wanted->authorization);
    token_request_deinit(&request);
    assert_null(request.url);
    assert_null(request.body);
}

// --- the variants of CXone ---

static void test_basic_with_query(void **state)
{
    (void)state;
    struct config_auth config = {
        .token_url = "https://org.cxone.com/oauth/token",
        .client_auth = CLIENT_AUTH_BASIC,
        .params_in = PARAMS_IN_QUERY,
        .client_id = "id",
        .client_secret = "secret",
        .scope = "integrations:actions:read integrations:actions:write",
    };
    check(&config, NULL,
          &(struct expected){.url =
                                 "https://org.cxone.com/oauth/token?grant_type=client_credentials&"
                                 "scope=integrations%3Aactions%3Aread%20integrations%3Aactions%"
                                 "3Awrite",
                             .authorization = "Basic aWQ6c2VjcmV0"});
}

static void test_all_in_the_query(void **state)
{
    (void)state;
    struct config_auth config = {
        .token_url = "https://base/api/v2/oauth/token",
        .client_auth = CLIENT_AUTH_QUERY,
        .params_in = PARAMS_IN_QUERY,
        .client_id = "id",
        .client_secret = "s&cret",
        .scope = "integration:actions:write",
    };
    check(&config, NULL,
          &(struct expected){.url = "https://base/api/v2/oauth/token?grant_type=client_credentials&"
                                    "client_id=id&client_secret=s%26cret&"
                                    "scope=integration%3Aactions%3Awrite"});
}

static void test_all_in_the_form(void **state)
{
    (void)state;
    struct config_auth config = {
        .token_url = "https://api.cxp.cxone.com/oauth/token",
        .client_id = "id",
        .client_secret = "secret",
        .scope = "data-actions:read",
    };
    check(&config, NULL,
          &(struct expected){.url = "https://api.cxp.cxone.com/oauth/token",
                             .body = "grant_type=client_credentials&client_id=id&"
                                     "client_secret=secret&scope=data-actions%3Aread",
                             .content_type = FORM});
    config.scope = NULL;
    check(&config, NULL,
          &(struct expected){.url = "https://api.cxp.cxone.com/oauth/token",
                             .body = "grant_type=client_credentials&client_id=id&"
                                     "client_secret=secret",
                             .content_type = FORM});
}

static void test_basic_with_form(void **state)
{
    (void)state;
    struct config_auth config = {
        .token_url = "https://base/api/v2/oauth/token",
        .client_auth = CLIENT_AUTH_BASIC,
        .client_id = "id",
        .client_secret = "secret",
        .scope = "data-actions:execute oauth:client-credentials",
    };
    check(&config, NULL,
          &(struct expected){.url = "https://base/api/v2/oauth/token",
                             .body = "grant_type=client_credentials&"
                                     "scope=data-actions%3Aexecute%20oauth%3Aclient-credentials",
                             .content_type = FORM,
                             .authorization = "Basic aWQ6c2VjcmV0"});
}

static void test_password_grant_and_its_refresh(void **state)
{
    (void)state;
    struct config_auth config = {
        .token_url = "https://cxone.niceincontact.com/auth/token",
        .grant = GRANT_PASSWORD,
        .client_auth = CLIENT_AUTH_BASIC,
        .client_id = "id",
        .client_secret = "secret",
        .username = "key id",
        .password = "key+secret",
        .scope = "a",
    };
    check(&config, NULL,
          &(struct expected){.url = "https://cxone.niceincontact.com/auth/token",
                             .body = "grant_type=password&username=key%20id&"
                                     "password=key%2Bsecret&scope=a",
                             .content_type = FORM,
                             .authorization = "Basic aWQ6c2VjcmV0"});
    check(&config, "refresh/1",
          &(struct expected){.url = "https://cxone.niceincontact.com/auth/token",
                             .body = "grant_type=refresh_token&refresh_token=refresh%2F1",
                             .content_type = FORM,
                             .authorization = "Basic aWQ6c2VjcmV0"});
    config.client_auth = CLIENT_AUTH_FORM;
    check(&config, NULL,
          &(struct expected){.url = "https://cxone.niceincontact.com/auth/token",
                             .body = "grant_type=password&username=key%20id&"
                                     "password=key%2Bsecret&client_id=id&client_secret=secret&"
                                     "scope=a",
                             .content_type = FORM});
}

static void test_access_key(void **state)
{
    (void)state;
    struct config_auth config = {
        .token_url = "https://na1.nice-incontact.com/authentication/v1/token/access-key",
        .grant = GRANT_ACCESS_KEY,
        .username = "ID",
        .password = "sec\"ret",
    };
    const struct expected wanted = {.url = config.token_url,
                                    .body = "{\"accessKeyId\":\"ID\","
                                            "\"accessKeySecret\":\"sec\\\"ret\"}",
                                    .content_type = JSON};
    check(&config, NULL, &wanted);
    struct config_auth other = {
        .token_url = config.token_url,
        .grant = GRANT_ACCESS_KEY,
        .client_auth = CLIENT_AUTH_BASIC,
        .client_id = "ID",
        .client_secret = "sec\"ret",
    };
    check(&other, NULL, &wanted);
}

// --- the rest of the rules ---

static void test_json_takes_the_form_along(void **state)
{
    (void)state;
    struct config_auth config = {
        .token_url = "https://h/t",
        .client_auth = CLIENT_AUTH_FORM,
        .params_in = PARAMS_IN_JSON,
        .client_id = "id",
        .client_secret = "\xc3\xa9",
    };
    const struct expected wanted = {.url = "https://h/t",
                                    .body = "{\"grant_type\":\"client_credentials\","
                                            "\"client_id\":\"id\",\"client_secret\":\"\xc3\xa9\"}",
                                    .content_type = JSON};
    check(&config, NULL, &wanted);
    config.client_auth = CLIENT_AUTH_JSON;
    config.params_in = PARAMS_IN_FORM;
    check(&config, NULL, &wanted);
}

static void test_json_and_query(void **state)
{
    (void)state;
    struct config_auth config = {
        .token_url = "https://h/t?x=1#part",
        .client_auth = CLIENT_AUTH_JSON,
        .params_in = PARAMS_IN_QUERY,
        .client_id = "id",
        .client_secret = "s",
    };
    check(&config, NULL,
          &(struct expected){.url = "https://h/t?x=1&grant_type=client_credentials",
                             .body = "{\"client_id\":\"id\",\"client_secret\":\"s\"}",
                             .content_type = JSON});
    config.token_url = "https://h/t?";
    check(&config, NULL,
          &(struct expected){.url = "https://h/t?grant_type=client_credentials",
                             .body = "{\"client_id\":\"id\",\"client_secret\":\"s\"}",
                             .content_type = JSON});
}

static void test_percent_encoding(void **state)
{
    (void)state;
    struct config_pair pairs[] = {{"a b", "100%"}, {"audience", "https://x/?q=1&r=\xe2\x82\xac"}};
    struct config_auth config = {
        .token_url = "https://h/t",
        .client_auth = CLIENT_AUTH_NONE,
        .client_id = "not sent",
        .client_secret = "not sent",
        .params = {pairs, 2},
    };
    check(&config, NULL,
          &(struct expected){.url = "https://h/t",
                             .body = "grant_type=client_credentials&a%20b=100%25&"
                                     "audience=https%3A%2F%2Fx%2F%3Fq%3D1%26r%3D%E2%82%AC",
                             .content_type = FORM});
}

static void test_basic_is_encoded_or_raw(void **state)
{
    (void)state;
    struct config_auth config = {
        .token_url = "https://h/t",
        .client_auth = CLIENT_AUTH_BASIC,
        .params_in = PARAMS_IN_QUERY,
        .client_id = "i:d",
        .client_secret = "a=b+c&d \xc3\xa9",
    };
    const char *url = "https://h/t?grant_type=client_credentials";
    // base64 of i%3Ad:a%3Db%2Bc%26d%20%C3%A9, then of the bytes as they are
    check(&config, NULL,
          &(struct expected){.url = url,
                             .authorization = "Basic aSUzQWQ6YSUzRGIlMkJjJTI2ZCUyMCVDMyVBOQ=="});
    config.client_auth = CLIENT_AUTH_BASIC_RAW;
    check(&config, NULL,
          &(struct expected){.url = url, .authorization = "Basic aTpkOmE9YitjJmQgw6k="});
    config.client_secret = NULL;
    config.client_id = "x";
    check(&config, NULL, &(struct expected){.url = url, .authorization = "Basic eDo="});
    config.client_id = NULL;
    check(&config, NULL, &(struct expected){.url = url});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_basic_with_query),
        cmocka_unit_test(test_all_in_the_query),
        cmocka_unit_test(test_all_in_the_form),
        cmocka_unit_test(test_basic_with_form),
        cmocka_unit_test(test_password_grant_and_its_refresh),
        cmocka_unit_test(test_access_key),
        cmocka_unit_test(test_json_takes_the_form_along),
        cmocka_unit_test(test_json_and_query),
        cmocka_unit_test(test_percent_encoding),
        cmocka_unit_test(test_basic_is_encoded_or_raw),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
