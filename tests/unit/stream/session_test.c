// SPDX-License-Identifier: Apache-2.0
// The states of a stream against a scripted server: handshakes, tokens, endings, retries, stops.
#include "stream/fixture.h"

// --- scripts ---

static void serve(struct peer *p)
{
    if (peer_handshake(p))
        peer_serve(p);
}

static void close_at_once(struct peer *p)
{
    (void)p;
}

static void say_hello(struct peer *p)
{
    if (peer_handshake(p) && peer_send(p, "hello"))
        peer_serve(p);
}

static void refuse_401(struct peer *p)
{
    peer_refuse(p, "401 Unauthorized");
}

static void stay_silent(struct peer *p)
{
    peer_wait_eof(p);
}

// --- the handshake ---

static void check_request(struct peer *p)
{
    char value[16384];
    char host[64];
    if (!peer_handshake(p))
        return;
    snprintf(host, sizeof(host), "peer.test:%u", p->port);
    peer_check(p, strncmp(p->request, "GET /path?a=b HTTP/1.1\r\n", 24) == 0, "request line");
    peer_check(p, peer_header(p, "Host", value, sizeof(value)) && strcmp(value, host) == 0, "Host");
    peer_check(p, peer_header(p, "Accept", value, sizeof(value)) && strcmp(value, "a/b") == 0,
               "Accept");
    peer_check(p,
               peer_header(p, "Authorization", value, sizeof(value)) && strlen(value) == 7 + 8192 &&
                   strncmp(value, "Bearer 0000", 11) == 0,
               "Authorization");
    peer_check(p, strstr(p->request, "Basic") == NULL, "a second Authorization");
    peer_check(p, peer_header(p, "Upgrade", value, sizeof(value)), "Upgrade");
    peer_check(p,
               peer_header(p, "Sec-WebSocket-Version", value, sizeof(value)) &&
                   strcmp(value, "13") == 0,
               "version");
    peer_check(p, !peer_header(p, "Sec-WebSocket-Extensions", value, sizeof(value)),
               "an extension was offered");
    peer_check(p, !peer_header(p, "Origin", value, sizeof(value)), "Origin");
    peer_send(p, "checked");
    peer_serve(p);
}

static void sends_the_handshake(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    static char token[8193];
    memset(token, '0', sizeof(token) - 1);
    f->config.auth = 0;
    f->token = token;
    f->headers[0] = (struct config_pair){(char *)"Accept", (char *)"a/b"};
    f->headers[1] = (struct config_pair){(char *)"authorization", (char *)"Basic x"};
    f->config.headers.count = 2;
    setenv("http_proxy", "127.0.0.1:1", 1); // must not be taken
    BEGIN(f, check_request);
    WAIT_FOR(f, f->n_messages == 1);
    unsetenv("http_proxy");
    assert_string_equal(buf_text(&f->messages), "T:checked\n");
    assert_int_equal(f->n_connected, 1);
    assert_int_equal(session_state(f->session), SESSION_LIVE);
    assert_null(session_last_end(f->session));
    finish(f);
}

static void takes_an_ipv6_literal(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    f->peer.family = AF_INET6;
    static const peer_script scripts[] = {say_hello};
    begin(f, "ws://[::1]", scripts, 1);
    WAIT_FOR(f, f->n_messages == 1);
    assert_non_null(strstr(f->peer.request, "Host: [::1]:"));
    finish(f);
}

static void refuses_bad_settings(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct status st;
    snprintf(f->url, sizeof(f->url), "http://peer.test/");
    assert_null(session_create(f->loop, f->resolver, &f->config, &record, f, &st));
    assert_non_null(strstr(st.detail, "stream s: "));
    snprintf(f->url, sizeof(f->url), "ws://peer.test/");
    f->headers[0] = (struct config_pair){(char *)"X", (char *)"a\r\nY: b"};
    f->config.headers.count = 1;
    assert_null(session_create(f->loop, f->resolver, &f->config, &record, f, &st));
    assert_non_null(strstr(st.detail, "header 1"));
    snprintf(f->url, sizeof(f->url), "wss://peer.test/");
    f->config.headers.count = 0;
    f->config.tls.ca_file = (char *)"/nonexistent/ca.pem";
    assert_null(session_create(f->loop, f->resolver, &f->config, &record, f, &st));
    assert_non_null(strstr(st.detail, "/nonexistent/ca.pem"));
    finish(f);
}

// --- messages ---

static void send_all_kinds(struct peer *p)
{
    static char long_text[70000];
    if (!peer_handshake(p))
        return;
    peer_frame(p, 0x82, "bin", 3);
    peer_frame(p, 0x81, "", 0);
    peer_frame(p, 0x01, "a", 1);
    peer_frame(p, 0x89, "are you there", 13); // a ping between fragments
    peer_frame(p, 0x00, "b", 1);
    peer_frame(p, 0x00, "", 0);
    peer_frame(p, 0x80, "c", 1);
    peer_frame(p, 0x02, "x", 1);
    peer_frame(p, 0x80, "", 0);
    peer_frame(p, 0x01, "", 0);
    peer_frame(p, 0x80, "", 0);
    peer_frame(p, 0x81, "\xff\xfe", 2); // not UTF-8: the far side's text is kept as it is
    memset(long_text, 'm', sizeof(long_text));
    long_text[0] = '<';
    long_text[sizeof(long_text) - 1] = '>';
    peer_frame(p, 0x81, long_text, sizeof(long_text));
    peer_frame(p, 0x01, long_text, 60000);
    peer_frame(p, 0x80, long_text, sizeof(long_text));
    peer_frame(p, 0x8a, "unasked", 7);
    peer_send(p, "end");
    peer_check(p,
               peer_receive(p) && p->opcode == 10 && p->payload_length == 13 &&
                   memcmp(p->payload, "are you there", 13) == 0,
               "no pong");
    peer_serve(p);
}

static void joins_fragments(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    BEGIN(f, send_all_kinds);
    WAIT_FOR(f, f->n_messages == 9);
    assert_string_equal(buf_text(&f->messages),
                        "B:bin\nT:\nT:abc\nB:x\nT:\nT:\xff\xfe\nT#70000<>\nT#130000<>\nT:end\n");
    finish(f);
}

static void handshake_and_frames_at_once(struct peer *p)
{
    char text[600];
    if (!peer_read_request(p))
        return;
    peer_format_101(p, text, sizeof(text) - 64);
    size_t n = strlen(text);
    memcpy(text + n, "\x81\x02hi\x88\x06\x0f\xa1late", 12); // 4001 "late"
    peer_write(p, text, n + 12);
    peer_wait_eof(p);
}

static void takes_frames_behind_the_handshake(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    BEGIN(f, handshake_and_frames_at_once);
    WAIT_FOR(f, f->n_ended == 1);
    assert_string_equal(buf_text(&f->messages), "T:hi\n");
    assert_string_equal(f->ends[0].label, "4001");
    assert_int_equal(f->ends[0].close_code, 4001);
    assert_true(f->ends[0].was_live);
    assert_non_null(strstr(f->ends[0].detail, "late"));
    finish(f);
}

// --- too large ---

static void send_large_frame(struct peer *p)
{
    static char data[2 << 20];
    if (!peer_handshake(p))
        return;
    memset(data, 'x', sizeof(data));
    peer_send(p, "before");
    peer_frame(p, 0x81, data, sizeof(data));
    peer_check(p, peer_receive_close(p, 1009), "no 1009");
    peer_close_frame(p, 1009, "");
    peer_wait_eof(p);
}

static void send_many_fragments(struct peer *p)
{
    static char data[1000];
    if (!peer_handshake(p))
        return;
    memset(data, 'y', sizeof(data));
    peer_frame(p, 0x01, data, sizeof(data));
    for (int i = 0; i < 200000 && peer_frame(p, 0x00, data, sizeof(data)); i++)
        ; // until the client has had enough
}

static void send_short_but_over(struct peer *p)
{
    if (!peer_handshake(p))
        return;
    peer_send(p, "0123456789");
    peer_send(p, "0123456789+");
    peer_wait_eof(p);
}

static void caps_messages(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    BEGIN(f, send_large_frame, send_many_fragments, say_hello);
    WAIT_FOR(f, f->n_connected == 3 && f->n_messages == 4);
    assert_string_equal(buf_text(&f->messages), "T:before\nL#65536xx\nL#65536yy\nT:hello\n");
    assert_int_equal(f->n_ended, 2);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(f->ends[i].label, "too_large");
        assert_true(f->ends[i].was_live);
        assert_non_null(strstr(f->ends[i].detail, "1048576"));
    }
    finish(f);
}

static void caps_short_messages(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    f->config.max_message = 10;
    BEGIN(f, send_short_but_over, say_hello);
    WAIT_FOR(f, f->n_messages == 3);
    assert_string_equal(buf_text(&f->messages), "T:0123456789\nL:0123456789+\nT:hello\n");
    finish(f);
}

// --- tokens ---

static void refreshes_a_refused_token(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    f->config.auth = 0;
    f->token = "old";
    BEGIN(f, refuse_401, say_hello);
    WAIT_FOR(f, f->n_ended == 1);
    assert_string_equal(f->refused, "old");
    assert_int_equal(f->n_refused, 1);
    assert_string_equal(f->ends[0].label, "http_401");
    assert_int_equal(f->ends[0].http_status, 401);
    assert_false(f->ends[0].was_live);
    assert_non_null(strstr(f->ends[0].detail, "token was refused"));
    assert_int_equal(session_state(f->session), SESSION_BACKOFF);
    f->token = "new";
    WAIT_FOR(f, f->n_messages == 1);
    assert_int_equal(f->n_tokens_wanted, 2);
    char value[64];
    assert_true(peer_header(&f->peer, "Authorization", value, sizeof(value)));
    assert_string_equal(value, "Bearer new");
    finish(f);
}

static void close_4001(struct peer *p)
{
    if (peer_handshake(p))
        peer_close_frame(p, 4001, "token expired");
    peer_wait_eof(p);
}

static void refreshes_after_a_token_close(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    f->config.auth = 0;
    f->token = "t";
    f->config.reconnect_base_us = 100 * US_PER_S; // only the prompt way passes the test
    f->config.reconnect_cap_us = 100 * US_PER_S;
    BEGIN(f, close_4001, close_4001, serve);
    WAIT_FOR(f, f->n_ended == 2);
    assert_int_equal(f->n_refused, 2);
    assert_in_range(f->ends[0].retry_in_us, 0, US_PER_S / 2);
    assert_true(f->ends[1].retry_in_us >= 10 * US_PER_S); // quickly again: backs off
    assert_true(session_retry_in_us(f->session) > 9 * US_PER_S);
    finish(f);
}

static void survives_missing_tokens(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    f->config.auth = 0;
    f->token_fails = true;
    BEGIN(f, say_hello);
    WAIT_FOR(f, f->n_ended == 3);
    assert_string_equal(f->ends[0].label, "token");
    assert_non_null(strstr(f->ends[0].detail, "token endpoint is away"));
    f->token_fails = false; // and now it hangs
    WAIT_FOR(f, session_state(f->session) == SESSION_TOKEN);
    turn_for(f, 20 * US_PER_MS);
    session_token(f->session, "t", NULL);
    WAIT_FOR(f, f->n_messages == 1);
    session_token(f->session, "unwanted", NULL); // ignored
    assert_int_equal(session_state(f->session), SESSION_LIVE);
    finish(f);
}

// --- refusals ---

static void refuse_429(struct peer *p)
{
    peer_refuse(p, "429 Too Many Requests\r\nRetry-After: 1");
}

static void refuse_503(struct peer *p)
{
    peer_refuse(p, "503 Service Unavailable\r\nRetry-After: Fri, 31 Dec 2060 23:59:59 GMT");
}

static void refuse_302(struct peer *p)
{
    char value[64];
    peer_refuse(p, "302 Found\r\nLocation: http://other.test:1/");
    peer_check(p, !peer_header(p, "Authorization", value, sizeof(value)) || p->connections == 1,
               "followed");
}

static void honours_retry_after(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    BEGIN(f, refuse_429, refuse_503);
    WAIT_FOR(f, f->n_ended == 2);
    assert_string_equal(f->ends[0].label, "http_429");
    assert_in_range(f->ends[0].retry_in_us, US_PER_S, US_PER_S + 10 * US_PER_MS);
    assert_string_equal(f->ends[1].label, "http_503");
    assert_in_range(f->ends[1].retry_in_us, 3600 * US_PER_S, 3601 * US_PER_S);
    finish(f);
}

static void follows_no_redirect(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    BEGIN(f, refuse_302, say_hello);
    WAIT_FOR(f, f->n_messages == 1);
    assert_string_equal(f->ends[0].label, "http_302");
    assert_non_null(strstr(f->ends[0].detail, "redirects are not followed"));
    assert_int_equal(f->n_ended, 1);
    finish(f);
}

// --- connections that fail ---

static void reply_garbage(struct peer *p)
{
    peer_read_request(p);
    peer_text(p, "SSH-2.0-server\r\n\r\n");
    peer_wait_eof(p);
}

static void reply_wrong_key(struct peer *p)
{
    peer_read_request(p);
    peer_text(p, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n");
    peer_wait_eof(p);
}

static void close_unanswered(struct peer *p)
{
    peer_read_request(p);
}

static void reset_at_once(struct peer *p)
{
    peer_read_request(p);
    peer_reset(p);
}

static void retries_after_broken_handshakes(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    f->config.connect_timeout_us = US_PER_S; // garbage is taken for the start of headers
    BEGIN(f, close_at_once, reply_garbage, reply_wrong_key, close_unanswered, reset_at_once,
          say_hello);
    WAIT_FOR(f, f->n_messages == 1);
    assert_int_equal(f->n_ended, 5);
    for (int i = 0; i < 5; i++) {
        assert_string_equal(f->ends[i].label, i == 1 ? "timeout" : "connect");
        assert_non_null(strstr(f->ends[i].detail, "127.0.0.1"));
        assert_false(f->ends[i].was_live);
    }
    finish(f);
}

// S1: the endpoint is away, and comes back.
static void retries_until_the_server_is_back(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    int fd = peer_listen(AF_INET, &f->peer.port); // a port that is free for now
    close(fd);
    snprintf(f->url, sizeof(f->url), "ws://peer.test:%u/", f->peer.port);
    create_session(f);
    session_start(f->session);
    WAIT_FOR(f, f->n_ended >= 8);
    assert_string_equal(f->ends[0].label, "connect");
    assert_non_null(session_last_end(f->session));
    assert_int_equal(f->n_connected, 0);
    static const peer_script scripts[] = {say_hello};
    assert_true(peer_start(&f->peer, scripts, 1));
    WAIT_FOR(f, f->n_messages == 1);
    finish(f);
}

static void rotates_over_addresses(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    static const peer_script scripts[] = {close_4001, say_hello};
    begin(f, "ws://two.test", scripts, 2);
    WAIT_FOR(f, f->n_messages == 1);
    assert_string_equal(f->ends[0].label, "connect");
    assert_non_null(strstr(f->ends[0].detail, "127.0.0.2"));
    assert_string_equal(f->ends[1].label, "4001"); // not stable: the other one is tried again
    assert_string_equal(f->ends[2].label, "connect");
    assert_int_equal(f->n_ended, 3);
    finish(f);
}

static void reports_unknown_names(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    snprintf(f->url, sizeof(f->url), "ws://nowhere.test/");
    create_session(f);
    session_start(f->session);
    WAIT_FOR(f, f->n_ended == 2);
    assert_string_equal(f->ends[0].label, "dns");
    assert_non_null(strstr(f->ends[0].detail, "nowhere.test"));
    finish(f);
}

static void bounds_a_lookup(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    f->config.connect_timeout_us = 50 * US_PER_MS;
    snprintf(f->url, sizeof(f->url), "ws://slow.test/");
    create_session(f);
    session_start(f->session);
    WAIT_FOR(f, f->n_ended == 1);
    assert_string_equal(f->ends[0].label, "timeout");
    assert_non_null(strstr(f->ends[0].detail, "looking up"));
    finish(f);
}

static void bounds_an_attempt(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    f->config.connect_timeout_us = 100 * US_PER_MS;
    int64_t start = mono_read().us;
    BEGIN(f, stay_silent, say_hello);
    WAIT_FOR(f, f->n_ended == 1);
    assert_in_range(mono_read().us - start, 90 * US_PER_MS, 2 * US_PER_S);
    assert_string_equal(f->ends[0].label, "timeout");
    assert_non_null(strstr(f->ends[0].detail, "connect_timeout"));
    WAIT_FOR(f, f->n_messages == 1);
    finish(f);
}

// --- stopping ---

static void expect_1001(struct peer *p)
{
    if (!peer_handshake(p))
        return;
    peer_check(p, peer_receive_close(p, 1001), "no 1001");
    peer_frame(p, 0x88, p->payload, p->payload_length);
    peer_go(p, 1);
}

static void never_answer(struct peer *p)
{
    if (peer_handshake(p))
        peer_await(p, 99);
}

static void stops_with_1001(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    BEGIN(f, expect_1001);
    WAIT_FOR(f, f->n_connected == 1);
    session_stop(f->session);
    assert_int_equal(session_state(f->session), SESSION_CLOSING);
    session_stop(f->session);
    WAIT_FOR(f, session_state(f->session) == SESSION_STOPPED);
    WAIT_FOR(f, f->peer.step == 1);
    assert_int_equal(f->n_ended, 1);
    assert_string_equal(f->ends[0].label, "1001");
    assert_int_equal(f->ends[0].retry_in_us, -1);
    finish(f);
}

static void stops_within_two_seconds(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    BEGIN(f, never_answer);
    WAIT_FOR(f, f->n_connected == 1);
    session_stop(f->session);
    int64_t start = mono_read().us;
    WAIT_FOR(f, session_state(f->session) == SESSION_STOPPED);
    assert_in_range(mono_read().us - start, 1900 * US_PER_MS, 6 * US_PER_S);
    finish(f);
}

static void stop_now(struct fixture *f)
{
    session_stop(f->session);
    assert_int_equal(session_state(f->session), SESSION_STOPPED);
    turn_for(f, 60 * US_PER_MS);
    assert_int_equal(session_state(f->session), SESSION_STOPPED);
}

static void stops_in_every_state(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    f->config.auth = 0;
    BEGIN(f, stay_silent, refuse_401);
    WAIT_FOR(f, session_state(f->session) == SESSION_TOKEN);
    stop_now(f);
    f->token = "t";
    session_start(f->session);
    assert_int_equal(session_state(f->session), SESSION_RESOLVING);
    stop_now(f);
    session_start(f->session);
    WAIT_FOR(f, f->peer.connections == 1);
    assert_int_equal(session_state(f->session), SESSION_CONNECTING);
    stop_now(f);
    f->config.reconnect_base_us = 100 * US_PER_S;
    session_start(f->session);
    WAIT_FOR(f, session_state(f->session) == SESSION_BACKOFF);
    stop_now(f);
    assert_int_equal(session_retry_in_us(f->session), 0);
    finish(f);
}

// --- destroying inside callbacks ---

static void destroy(struct fixture *f)
{
    session_destroy(&f->session);
}

static void survives_destruction_inside_callbacks(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct fixture *f = fixture_create();
        f->on_connected = i == 0 ? destroy : NULL;
        f->on_message = i == 1 || i == 2 ? destroy : NULL;
        f->on_ended = i == 3 ? destroy : NULL;
        if (i == 2) {
            f->config.max_message = 3;
            BEGIN(f, say_hello);
        } else if (i == 3) {
            BEGIN(f, refuse_401);
        } else {
            BEGIN(f, say_hello);
        }
        WAIT_FOR(f, f->session == NULL);
        turn_for(f, 30 * US_PER_MS);
        assert_true(f->n_connected + f->n_ended >= 1);
        finish(f);
    }
}

static void names_every_state(void **state)
{
    (void)state;
    assert_string_equal(session_state_name(SESSION_IDLE), "idle");
    assert_string_equal(session_state_name(SESSION_STOPPED), "stopped");
    for (int s = SESSION_IDLE; s <= SESSION_STOPPED; s++)
        assert_true(strlen(session_state_sentence((enum session_state)s)) > 5);
    struct session *none = NULL;
    session_destroy(&none);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_the_handshake),
        cmocka_unit_test(takes_an_ipv6_literal),
        cmocka_unit_test(refuses_bad_settings),
        cmocka_unit_test(joins_fragments),
        cmocka_unit_test(takes_frames_behind_the_handshake),
        cmocka_unit_test(caps_messages),
        cmocka_unit_test(caps_short_messages),
        cmocka_unit_test(refreshes_a_refused_token),
        cmocka_unit_test(refreshes_after_a_token_close),
        cmocka_unit_test(survives_missing_tokens),
        cmocka_unit_test(honours_retry_after),
        cmocka_unit_test(follows_no_redirect),
        cmocka_unit_test(retries_after_broken_handshakes),
        cmocka_unit_test(retries_until_the_server_is_back),
        cmocka_unit_test(rotates_over_addresses),
        cmocka_unit_test(reports_unknown_names),
        cmocka_unit_test(bounds_a_lookup),
        cmocka_unit_test(bounds_an_attempt),
        cmocka_unit_test(stops_with_1001),
        cmocka_unit_test(stops_within_two_seconds),
        cmocka_unit_test(stops_in_every_state),
        cmocka_unit_test(survives_destruction_inside_callbacks),
        cmocka_unit_test(names_every_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
