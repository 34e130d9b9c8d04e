// SPDX-License-Identifier: Apache-2.0
// The small parsers of what people and servers write, all over the same text: units, listening
// addresses, stream URLs, DSNs, ${} in strings, Retry-After, answers of token endpoints.
#include "fuzz.h"

#include "auth/token_answer_priv.h"
#include "config/listen_priv.h"
#include "config/load.h"
#include "config/secret.h"
#include "config/units.h"
#include "core/mem.h"
#include "net/http_priv.h"
#include "pg/dsn_priv.h"
#include "stream/url.h"

static void check_units(const char *text)
{
    char again[UNITS_TEXT_SIZE];
    int64_t us, us_again;
    uint64_t bytes, bytes_again;
    if (units_duration_parse(text, &us)) {
        units_duration_format(us, again);
        FUZZ_CHECK(units_duration_parse(again, &us_again) && us == us_again, "%s: %s", text, again);
    }
    if (units_size_parse(text, &bytes)) {
        units_size_format(bytes, again);
        FUZZ_CHECK(units_size_parse(again, &bytes_again) && bytes == bytes_again, "%s: %s", text,
                   again);
    }
}

static void check_addresses(const char *text)
{
    struct ws_url url;
    struct status st = {0};
    unsigned short port;
    char *host;

    if (listen_parse(text, &host, &port)) {
        FUZZ_CHECK(host[0] != '\0' && strchr(host, '[') == NULL, "%s", text);
        listen_is_loopback(host);
        free(host);
    }
    if (ws_url_parse(text, &url, &st) == STATUS_OK) {
        FUZZ_CHECK(url.host[0] != '\0' && url.port != 0 && url.target[0] == '/', "%s", text);
        FUZZ_CHECK(strpbrk(url.authority, "\r\n/@ ") == NULL, "%s", url.authority);
        FUZZ_CHECK(strpbrk(url.target, "\r\n# ") == NULL, "%s", url.target);
    } else {
        FUZZ_CHECK(st.detail[0] != '\0', "no sentence");
    }
}

static void check_dsn(const char *text)
{
    struct dsn_settings settings = {.text = text, .application_name = "fuzz"};
    struct dsn *dsn = NULL;
    struct status st = {0};
    char peer[128];
    if (dsn_parse(&settings, &dsn, &st) != STATUS_OK) {
        FUZZ_CHECK(dsn == NULL && st.detail[0] != '\0', "no sentence");
        return;
    }
    FUZZ_CHECK(dsn_hosts(dsn) >= 1, "no host");
    for (size_t i = 0; i < dsn_hosts(dsn); i++)
        if (dsn_lookup_name(dsn, i) != NULL)
            dsn_add_address(dsn, i, "127.0.0.1");
    dsn_describe(dsn, peer, sizeof(peer));
    char *scrubbed = fuzz_text(text, strlen(text));
    dsn_scrub(dsn, NULL, scrubbed);
    FUZZ_CHECK(strlen(scrubbed) <= strlen(text), "%s", scrubbed);
    free(scrubbed);
    dsn_free(&dsn);
}

static void check_answers(const char *text, size_t size)
{
    static const struct config_auth auth = {.client_secret = "a-secret"};
    static const char *const more[2] = {"another-secret", NULL};
    struct token_answer answer = {0};
    struct buf explained = {0};
    struct status st = {0};

    int64_t wait = http_retry_after_parse(text, INT64_C(1700000000) * US_PER_S);
    FUZZ_CHECK(wait >= -1 && wait <= HTTP_RETRY_AFTER_MAX_US, "%s", text);
    if (token_answer_parse(text, size, &answer, &st) == STATUS_OK)
        FUZZ_CHECK(answer.access_token != NULL && strpbrk(answer.access_token, "\r\n") == NULL &&
                       answer.expires_in_us >= -1 && answer.expires_in_us <= TOKEN_LIFE_MAX_US,
                   "%s", text);
    token_answer_deinit(&answer);
    token_answer_explain(text, size, &auth, more, &explained);
    FUZZ_CHECK(strstr(buf_text(&explained), "a-secret") == NULL, "%s", text);
    FUZZ_CHECK(strpbrk(buf_text(&explained), "\r\n") == NULL, "%s", text);
    buf_clear(&explained);
    token_scope_missing("a b c", text, &explained);
    FUZZ_CHECK(explained.len <= strlen("a b c"), "%s", text);
    buf_deinit(&explained);
}

int fuzz_one(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct status st;

    setenv("FUZZ_VARIABLE", "value", 1);
    check_units(text);
    check_addresses(text);
    check_dsn(text);
    check_answers(text, strlen(text));
    char *expanded = secret_expand(text, &st);
    FUZZ_CHECK(expanded == NULL || strstr(text, "${") != NULL || strcmp(expanded, text) == 0, "%s",
               text);
    mem_wipe_free(&expanded);
    free(text);
    return 0;
}
