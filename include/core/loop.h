// SPDX-License-Identifier: Apache-2.0
// The one event loop: libwebsockets' default poll loop, with foreign descriptors (libpq, libcurl,
// signalfd, eventfd) watched beside its own, posts for the next turn, and deferred freeing.
//
// Structure: a struct loop owns the lws_context and one epoll instance that holds every foreign
// descriptor, the timerfd of the timer heap (core/timer.h) among them; libwebsockets polls the
// epoll descriptor as one raw file. A struct loop_watch is one watched descriptor. All of it
// belongs to one thread.
//
// Why epoll inside: adopting each descriptor in libwebsockets has three traps (it closes what it
// adopted; 4.1 loses a request for POLLOUT made inside the writeable callback; a library may put
// another socket on the same number, as PQconnectPoll does). With one adopted descriptor the first
// two cannot happen, and the third is solved in loop_watch_update() alone: the kernel forgets a
// closed socket by itself, so that registering the number again is always right.
#ifndef CXSINK_CORE_LOOP_H
#define CXSINK_CORE_LOOP_H

#include "core/clock.h"
#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>

struct loop;
struct loop_watch;
struct lws_context;

#define LOOP_READ 1u
#define LOOP_WRITE 2u

// `events` is what is ready: LOOP_READ (also for end of file and errors), LOOP_WRITE, or both.
typedef void (*loop_fd_fn)(void *owner, unsigned events);
typedef void (*loop_fn)(void *owner);

// Ignores SIGPIPE. NULL with a sentence in `st` when libwebsockets refuses.
struct loop *loop_create(struct status *st) STATUS_MUST_CHECK;
// Closes every watch, runs what was deferred, frees. Objects that own watches, timers or lws
// vhosts may outlive this call but not use them afterwards.
void loop_destroy(struct loop **loop);

// Turns until loop_stop(). Each turn: library callbacks, ripe timers, posts, deferred frees.
void loop_run(struct loop *loop);
// One turn. With `wait` false it returns at once when nothing is ready.
void loop_turn(struct loop *loop, bool wait);
void loop_stop(struct loop *loop);

// Monotonic and wall time, read once a turn: at the first call after the loop woke up (and whenever
// loop_refresh_time is called).
struct mono loop_now(struct loop *loop);
int64_t loop_wall_us(struct loop *loop);
void loop_refresh_time(struct loop *loop);
// Turns since the start; the watchdog looks at it.
uint64_t loop_turns(const struct loop *loop);

// The context, for the folders that may use libwebsockets (stream, ops). They create their own
// vhosts with lws_create_vhost().
struct lws_context *loop_lws(struct loop *loop);

// Watches a descriptor; the caller keeps `fd` and closes it after loop_unwatch(). `events` may be
// 0. NULL when out of descriptors. Callbacks are level-triggered.
struct loop_watch *loop_watch(struct loop *loop, int fd, unsigned events, loop_fd_fn fn,
                              void *owner, struct status *st) STATUS_MUST_CHECK;
void loop_watch_set(struct loop_watch *watch, unsigned events);
// Says which descriptor the library uses now and what it waits for; adopts anew when the socket
// behind it is another one. False when out of descriptors.
bool loop_watch_update(struct loop_watch *watch, int fd, unsigned events);
// Ends it; no callback comes any more. NULL is fine. Allowed inside any callback.
void loop_unwatch(struct loop_watch **watch);

// Runs `fn` once, in this turn's tail or the next turn, never inside the caller. Several posts run
// in order. loop_unpost() removes all posts of an owner (before the owner is freed).
void loop_post(struct loop *loop, loop_fn fn, void *owner);
void loop_unpost(struct loop *loop, const void *owner);

// Frees `object` with `free_fn` (free when NULL) at the end of the turn, when no callback of it can
// be on the stack.
void loop_defer_free(struct loop *loop, void *object, void (*free_fn)(void *));

#endif
