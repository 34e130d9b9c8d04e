// SPDX-License-Identifier: Apache-2.0
// When the next attempt comes, and how an ending is worded: the decisions alone, without a network.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "stream/session_priv.h"

#include <stdio.h>
#include <string.h>

static unsigned short token_codes[] = {1008, 4001};
static const struct config_stream config = {.name = (char *)"s",
                                            .reconnect_base_us = US_PER_S,
                                            .reconnect_cap_us = 30 * US_PER_S,
                                            .token_close_codes = token_codes,
                                            .n_token_close_codes = 2};

static struct session make(void)
{
    struct session s = {.config = &config, .bearer = (char *)"t", .state = SESSION_LIVE};
    s.backoff = (struct backoff){US_PER_S, 30 * US_PER_S, 0, 0};
    s.refused = (struct backoff){US_PER_S, 300 * US_PER_S, 0, 0};
    snprintf(s.address, sizeof(s.address), "192.0.2.1");
    snprintf(s.url.host, sizeof(s.url.host), "h.test");
    snprintf(s.url.authority, sizeof(s.url.authority), "h.test:1");
    return s;
}

// The longest of many delays after `earlier` attempts that ended the same way.
static int64_t longest(const struct session_end *end, int64_t retry_after_us, int earlier)
{
    int64_t most = -1;
    for (int i = 0; i < 500; i++) {
        struct session s = make();
        for (int n = 0; n < earlier; n++)
            session_retry_delay(&s, end, retry_after_us);
        int64_t delay = session_retry_delay(&s, end, retry_after_us);
        most = delay > most ? delay : most;
    }
    return most;
}

static void backs_off_with_full_jitter(void **state)
{
    (void)state;
    struct session_end lost = {.was_live = true};
    assert_in_range(longest(&lost, -1, 0), US_PER_S / 2, US_PER_S);
    assert_in_range(longest(&lost, -1, 2), 3 * US_PER_S, 4 * US_PER_S);
    assert_in_range(longest(&lost, -1, 20), 25 * US_PER_S, 30 * US_PER_S);
    assert_in_range(longest(&lost, -1, 100), 25 * US_PER_S, 30 * US_PER_S);
}

static void slows_down_on_refusals_in_a_row(void **state)
{
    (void)state;
    struct session_end refused = {.http_status = 401};
    assert_in_range(longest(&refused, -1, 0), 0, US_PER_S / 2);
    assert_in_range(longest(&refused, -1, 1), US_PER_S, 2 * US_PER_S);
    refused.http_status = 403;
    assert_in_range(longest(&refused, -1, 20), 200 * US_PER_S, 300 * US_PER_S);
    struct session s = make();
    s.bearer = NULL; // nothing to refresh: no second attempt at once
    int64_t sum = 0;
    for (int i = 0; i < 200; i++) {
        s.refused.attempts = 0;
        sum += session_retry_delay(&s, &refused, -1);
    }
    assert_true(sum / 200 > 350 * US_PER_MS);
}

static void honours_retry_after(void **state)
{
    (void)state;
    struct session_end busy = {.http_status = 429};
    struct session s = make();
    assert_in_range(session_retry_delay(&s, &busy, 7 * US_PER_S), 7 * US_PER_S, 8 * US_PER_S);
    assert_in_range(session_retry_delay(&s, &busy, INT64_MAX), 3600 * US_PER_S, 3601 * US_PER_S);
    assert_int_equal(s.backoff.attempts, 0);
    assert_in_range(longest(&busy, 0, 3), 4 * US_PER_S, 8 * US_PER_S); // 0 says nothing
    assert_in_range(longest(&busy, -1, 0), US_PER_S / 2, US_PER_S);
    struct session_end lost = {.was_live = true};
    assert_in_range(session_retry_delay(&s, &lost, 7 * US_PER_S), 0, US_PER_S);
}

static void refreshes_once_after_a_token_close(void **state)
{
    (void)state;
    struct session s = make();
    struct session_end end = {.was_live = true, .close_code = 1008};
    assert_true(session_end_refuses_token(&s, &end));
    s.backoff.attempts = 20;
    assert_in_range(session_retry_delay(&s, &end, -1), 0, US_PER_S / 2);
    assert_int_equal(s.backoff.attempts, 20);
    session_retry_delay(&s, &end, -1); // not stable in between
    assert_int_equal(s.backoff.attempts, 21);
    end.close_code = 1011;
    assert_false(session_end_refuses_token(&s, &end));
    end = (struct session_end){.http_status = 403};
    assert_true(session_end_refuses_token(&s, &end));
    s.bearer = NULL;
    assert_false(session_end_refuses_token(&s, &end));
}

static void stops_only_where_configured(void **state)
{
    (void)state;
    struct session s = make();
    struct session_end normal = {.was_live = true, .close_code = 1000};
    assert_true(session_retry_delay(&s, &normal, -1) >= 0);
    struct config_stream stopping = config;
    stopping.on_normal_close = NORMAL_CLOSE_STOP;
    s.config = &stopping;
    assert_int_equal(session_retry_delay(&s, &normal, -1), -1);
    normal.close_code = 1001;
    assert_true(session_retry_delay(&s, &normal, -1) >= 0);
}

static void words_endings(void **state)
{
    (void)state;
    static const struct {
        struct ws_end ws;
        bool without_token;
        const char *label, *part;
    } cases[] = {
        {{.kind = WS_END_REFUSED, .http_status = 401}, false, "http_401", "token was refused"},
        {{.kind = WS_END_REFUSED, .http_status = 403}, true, "http_403", "set \"auth\""},
        {{.kind = WS_END_REFUSED, .http_status = 404}, false, "http_404", "URL"},
        {{.kind = WS_END_REFUSED, .http_status = 429}, false, "http_429", "too many"},
        {{.kind = WS_END_REFUSED, .http_status = 308}, false, "http_308", "redirects"},
        {{.kind = WS_END_REFUSED, .http_status = 500}, false, "http_500", "HTTP 500"},
        {{.kind = WS_END_CLOSED, .close_code = 4001, .detail = "gone"}, false, "4001", ": gone"},
        {{.kind = WS_END_CLOSED, .close_code = 1005}, false, "1005", "without a code"},
        {{.kind = WS_END_TLS, .detail = "expired"}, false, "tls", "192.0.2.1: expired"},
        {{.kind = WS_END_CONNECT, .detail = "refused"}, false, "connect", "h.test:1 at 192.0.2.1"},
        {{.kind = WS_END_LOST, .detail = "ended"}, false, "1006", "ended"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct session s = make();
        s.bearer = cases[i].without_token ? NULL : s.bearer;
        struct session_end end = session_end_of_ws(&s, &cases[i].ws);
        assert_string_equal(end.label, cases[i].label);
        if (strstr(end.detail, cases[i].part) == NULL)
            fail_msg("%s: %s", end.label, end.detail);
        assert_int_equal(end.http_status, cases[i].ws.http_status);
        assert_int_equal(end.close_code,
                         cases[i].ws.close_code == 1005 ? 0 : cases[i].ws.close_code);
        assert_true(end.was_live);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(backs_off_with_full_jitter),
        cmocka_unit_test(slows_down_on_refusals_in_a_row),
        cmocka_unit_test(honours_retry_after),
        cmocka_unit_test(refreshes_once_after_a_token_close),
        cmocka_unit_test(stops_only_where_configured),
        cmocka_unit_test(words_endings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
