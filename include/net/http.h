// SPDX-License-Identifier: Apache-2.0
// HTTP requests over libcurl's multi_socket interface on the loop. One client a daemon; any number
// of requests in flight. HTTP/2 where a TLS server offers it, else HTTP/1.1 with keep-alive.
//
// Names are resolved with net/resolve and handed to libcurl. The proxy variables that libcurl knows
// (http_proxy, https_proxy, all_proxy, no_proxy) are honoured; with one of them set, libcurl
// resolves names itself, in a thread of its own. No compression is asked for. No "Expect:
// 100-continue" is sent (many servers ignore it, and every request would wait for them); a caller
// that puts the header in waits 250 ms for the server's word. User-Agent is "cxsink/VERSION".
//
// An answer that comes while the body is still being sent wins: sending stops, the connection is
// not used again. Before each slice of the body the socket is looked at, so that an answer is read
// before anything else is sent. What cannot be excluded: a server that answers and resets the
// connection at once may do both between that look and the send behind it. Linux keeps what had
// come for the reader, but libcurl gives a connection up when a send fails, and does not read on:
// the outcome is STATUS_UNAVAILABLE then, with `sent`, never another answer. (About one in a
// hundred of such answers on loopback; none of a server that waits a moment before it closes.)
//
// A kept connection may have died unnoticed. When a request on one breaks off before any byte of an
// answer came, it is sent once more over a new connection, its body from the start, whatever its
// method; so is one that an HTTP/2 server says it has not looked at (REFUSED_STREAM, GOAWAY).
// `once` forbids that.
#ifndef CXSINK_NET_HTTP_H
#define CXSINK_NET_HTTP_H

#include "core/clock.h"
#include "core/status.h"
#include "net/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct http_client;
struct http_pool;
struct http_request;
struct resolver;

#define HTTP_CONNECT_TIMEOUT_US (5 * US_PER_S)
#define HTTP_TIMEOUT_US (30 * US_PER_S)
#define HTTP_MAX_RESPONSE ((size_t)4 << 20)
// Of an answer, all together; more end the request with STATUS_FULL.
#define HTTP_MAX_HEADERS ((size_t)64 << 10)
#define HTTP_REDIRECTS 5
// Longer waits than this in Retry-After are cut.
#define HTTP_RETRY_AFTER_MAX_US (24 * 3600 * US_PER_S)

// The resolver must outlive the client.
struct http_client *http_client_create(struct loop *loop, struct resolver *resolver,
                                       struct status *st) STATUS_MUST_CHECK;
// Cancels what is in flight (no callback comes; the handles become NULL), destroys the pools and
// closes connections. Not inside a `read` or `rewind`.
void http_client_destroy(struct http_client **client);

// --- pools ---

// An API's share: at most `max_connections` requests of it are in flight, so at most that many
// connections are open to it (also with HTTP/2, where they are streams); further ones wait, first
// come first served. APIs do not wait for one another. `api` is copied.
struct http_pool *http_pool_create(struct http_client *client, const char *api,
                                   unsigned max_connections);
// Cancels its requests. Before the client is destroyed, or not at all. NULL is fine.
void http_pool_destroy(struct http_pool **pool);
// More than before start what waits; fewer hold for requests to come.
void http_pool_resize(struct http_pool *pool, unsigned max_connections);
size_t http_pool_waiting(const struct http_pool *pool);
size_t http_pool_active(const struct http_pool *pool);

// --- requests ---

struct http_header {
    const char *name;
    const char *value;
};

#define HTTP_READ_FAILED SIZE_MAX

// A body that is made while it is sent. The functions are called on the loop, in slices, and may
// start and cancel requests (this one, too); they are not called any more once the answer's
// callback was, or the request was cancelled.
struct http_source {
    // Puts 1 to `size` bytes (at most 16 KiB) into `buffer` and returns how many; is not asked
    // beyond `length`. HTTP_READ_FAILED, or 0 (too early an end), ends the request: STATUS_IO.
    size_t (*read)(void *owner, char *buffer, size_t size);
    // Back to the first byte, for a redirect or a kept connection that died; false: it cannot, and
    // the request ends. NULL: never.
    bool (*rewind)(void *owner);
    void *owner;
    uint64_t length; // of the whole body; sent as Content-Length
};

// Everything is copied by http_request_start, but not what `pool` and `source.owner` point to.
struct http_options {
    const char *method; // "GET", "POST", ...; NULL: GET
    const char *url;    // http or https
    const struct http_header *headers;
    size_t n_headers;
    const void *body; // NULL: none (POST, PUT and PATCH then send an empty one)
    size_t body_length;
    struct http_source source; // with `read`: instead of `body`
    struct http_pool *pool;    // NULL: no cap

    // Each 0: the default. While a request waits for its pool, only `timeout_us` runs.
    int64_t connect_timeout_us;  // name, TCP and TLS; 5 s
    int64_t response_timeout_us; // from the request's last byte to the answer's first; no limit
    int64_t idle_timeout_us;     // no byte moves amid the request or the answer; no limit
    int64_t timeout_us;          // the whole, waiting and redirects included; 30 s

    size_t max_response; // bytes of body; 0: 4 MiB
    // How many redirects to follow, within the same scheme, host and port alone; HTTP_REDIRECTS is
    // usual. 0: a 3xx is an answer like any other. 307 and 308 repeat method and body, 303 becomes
    // a GET without body (HEAD stays), 301 and 302 are followed for GET and HEAD only. Any other
    // redirect, and one too many, ends the request with STATUS_DENIED, `status` being the 3xx.
    unsigned redirects;
    bool http1_only; // token requests
    bool https_only; // an http URL is refused, STATUS_INVALID
    // Refuses (STATUS_DENIED) to connect to an address that is not of the public internet
    // (net/address.h), looking at the very address of each connection, a kept one too. Through a
    // proxy only a host that is written as an address, and "localhost", can be looked at: names are
    // the proxy's to resolve. no_proxy is ignored then.
    bool public_only;
    bool
        connect_only; // the TCP connect and the TLS handshake alone: nothing is sent, `status` is 0
    bool close;       // keep no connection for later requests
    bool once;        // never send it twice, but for a redirect
    bool secret; // wipe our copies of url, headers, body and answer when done (not libcurl's own)
    struct tls_settings tls; // copied; an https request verifies certificate and name always
};

struct http_response {
    // STATUS_OK: an answer came, whatever its status. Else: STATUS_UNAVAILABLE (name, connection,
    // broken off), STATUS_TIMEOUT, STATUS_DENIED (the server's certificate, which check of it; a
    // redirect; an address that is not public), STATUS_FULL (larger than max_response or
    // HTTP_MAX_HEADERS), STATUS_IO (`source` failed), STATUS_INVALID or STATUS_NOT_FOUND (the URL,
    // a header, a file of `tls`).
    enum status_code code;
    char detail[STATUS_DETAIL_MAX]; // unless STATUS_OK: what failed, at "host:port", no secrets
    int status;                     // of HTTP; 0: none came
    // The server may have seen the request: false when it failed before its first byte was sent.
    bool sent;
    // From Retry-After, RFC 9110 section 10.2.3 (seconds, or a date seen from the wall clock), 0 to
    // HTTP_RETRY_AFTER_MAX_US; -1: none.
    int64_t retry_after_us;
    // The far side's wall clock, from Date (RFC 9110 section 6.6.1); 0: not told.
    int64_t date_us;
    // Wall time at which the first of the server's certificates expires, its authority's own one
    // excepted; 0: not seen, as without TLS or on a kept connection.
    int64_t certificate_until_us;
    const char *body; // never NULL, NUL-terminated beyond `body_length`
    size_t body_length;
    int64_t elapsed_us;                 // from http_request_start
    int64_t waited_us;                  // of these, for the pool
    const struct http_request *request; // for http_response_header
};

typedef void (*http_fn)(void *owner, const struct http_response *response);

// Calls `fn` once, never before this call returns; *request_r (which may be NULL) is set to NULL
// before. The response is `fn`'s until it returns; `fn` may start and cancel requests and destroy
// the pool and the client. With a pool, cxsink_http_requests_total{api,status} counts the answer's
// status or the failure's code.
void http_request_start(struct http_client *client, const struct http_options *options, http_fn fn,
                        void *owner, struct http_request **request_r);
// `fn` will not be called. NULL is fine. At any time, inside any callback.
void http_request_cancel(struct http_request **request_r);
// The value of a header of the answer (any case; the first of several), for as long as the
// response; NULL: there is none.
const char *http_response_header(const struct http_response *response, const char *name);

#endif
