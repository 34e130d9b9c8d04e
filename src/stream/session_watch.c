// SPDX-License-Identifier: Apache-2.0
// Whether an open connection is still one: pings with a deadline for their pong (half-open TCP),
// and the idle deadline for data alone (pongs that come while the data has stopped).
#include "stream/session_priv.h"

#define CLOSE_GOING_AWAY 1001
// Data since the PING that says that its pong is queued behind more.
#define BEHIND_BYTES (1024 * 1024)

// --- pings ---

static void send_ping(struct session *s)
{
    ws_ping(s->ws);
    // While paused no pong can be read. A PING that is unanswered already keeps its deadline.
    if (s->state != SESSION_LIVE || timer_running(&s->pong) || s->config->ping_timeout_us <= 0)
        return;
    s->bytes_since_ping = 0;
    timer_start(&s->pong, s->config->ping_timeout_us);
}

static void on_ping(void *owner)
{
    send_ping(owner);
}

// The pong may wait behind data: after a stall of ours it is in the socket unread; when the far
// side has much to send, it is behind that. Ending the connection then would only make it send
// everything again.
static bool behind(const struct session *s)
{
    return ws_unread(s->ws) || s->bytes_since_ping >= BEHIND_BYTES;
}

static void on_pong_timeout(void *owner)
{
    struct session *s = owner;
    if (behind(s)) {
        s->bytes_since_ping = 0;
        timer_start(&s->pong, s->config->ping_timeout_us);
        return;
    }
    struct session_end end =
        session_end_make("ping_timeout", "no pong within ping.timeout (%.1f s) of a ping",
                         (double)s->config->ping_timeout_us / 1e6);
    end.was_live = true;
    session_over(s, &end, -1); // a close frame would reach nobody
}

void session_on_pong(struct session *s)
{
    timer_stop(&s->pong);
}

// --- idle ---

static void on_idle(void *owner)
{
    struct session *s = owner;
    int64_t left = s->config->idle_timeout_us - mono_diff(loop_now(s->loop), s->last_data);
    if (s->state == SESSION_PAUSED)
        left = s->config->idle_timeout_us;
    if (left > 0) { // data came since it was started
        timer_start(&s->idle, left);
        return;
    }
    struct session_end end = session_end_make("idle_timeout", "no data for idle_timeout (%.1f s)",
                                              (double)s->config->idle_timeout_us / 1e6);
    session_close(s, CLOSE_GOING_AWAY, &end);
}

// --- with the connection ---

void session_watch_init(struct session *s)
{
    timer_init(&s->ping, s->loop, "stream ping", on_ping, s);
    timer_init(&s->pong, s->loop, "stream pong", on_pong_timeout, s);
    timer_init(&s->idle, s->loop, "stream idle", on_idle, s);
}

void session_watch_start(struct session *s)
{
    s->last_data = loop_now(s->loop);
    timer_start(&s->stable, s->config->reconnect_stable_us);
    if (s->config->ping_interval_us > 0)
        timer_start_periodic(&s->ping, s->config->ping_interval_us);
    if (s->config->idle_timeout_us > 0)
        timer_start(&s->idle, s->config->idle_timeout_us);
}

void session_watch_stop(struct session *s)
{
    timer_stop(&s->stable);
    timer_stop(&s->ping);
    timer_stop(&s->pong);
    timer_stop(&s->idle);
}

// Pings go on, so that the far side and what is between see life; their pongs are not read.
void session_watch_pause(struct session *s)
{
    timer_stop(&s->pong);
}

void session_watch_resume(struct session *s)
{
    s->last_data = loop_now(s->loop);
    if (s->config->ping_interval_us > 0)
        send_ping(s); // finds out soon whether the connection outlived the pause
}
