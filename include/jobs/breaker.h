// SPDX-License-Identifier: Apache-2.0
// A circuit breaker, pure: closed; open after N failures in a row; half-open after the reset time,
// when one request alone goes out as a probe and decides. "now" is monotonic, in microseconds.
#ifndef CXSINK_JOBS_BREAKER_H
#define CXSINK_JOBS_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

// As cxsink_breaker_state tells them.
enum breaker_state {
    BREAKER_CLOSED = 0,    // requests go out
    BREAKER_HALF_OPEN = 1, // one may go out, or is out
    BREAKER_OPEN = 2,      // none goes out until the reset time
};

struct breaker {
    unsigned threshold; // failures in a row that open it; at least 1
    int64_t reset_us;
    enum breaker_state state;
    unsigned failures;    // in a row
    int64_t opened_at_us; // of the last opening
    bool probing;         // half-open: the one request is out
};

void breaker_init(struct breaker *b, unsigned threshold, int64_t reset_us);
// May a request go out now? An open breaker whose time is up becomes half-open by this question.
// Does not take the probe: breaker_begin does.
bool breaker_allows(struct breaker *b, int64_t now_us);
// A request goes out. Call only when it is allowed. True when it is the probe.
bool breaker_begin(struct breaker *b);
// Its end: `failed` for 5xx, network and timeouts; 4xx are none. True when the state changed.
bool breaker_end(struct breaker *b, bool probe, bool failed, int64_t now_us);
// The request ended without an answer that says anything (cancelled before it was sent).
void breaker_abandon(struct breaker *b, bool probe);
// When an open one becomes half-open; 0 when it is not open.
int64_t breaker_reopens_at(const struct breaker *b);
const char *breaker_state_name(enum breaker_state state); // "closed", "half_open", "open"

#endif
