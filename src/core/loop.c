// SPDX-License-Identifier: Apache-2.0
#include "core/loop.h"

#include "core/counter.h"
#include "core/log.h"
#include "core/loop_priv.h"
#include "core/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <libwebsockets.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <string.h>
#include <unistd.h>

#define EPOLL_BATCH 64

struct loop_watch {
    struct loop *loop;
    loop_fd_fn fn; // NULL: ended, waits to be freed
    void *owner;
    int fd;
    unsigned events;
    struct loop_watch *previous, *next;
};

struct post {
    loop_fn fn; // NULL: taken back
    void *owner;
};

struct posts {
    struct post *items;
    size_t count, cap;
};

struct deferred {
    void *object;
    void (*free_fn)(void *);
};

struct loop {
    struct lws_context *lws;
    struct lws *epoll_wsi;
    int epoll_fd;
    bool stop;
    bool time_known; // `now` and `wall_us` belong to this wake-up
    struct mono now;
    struct mono turn_start;
    int64_t wall_us;
    uint64_t turns;
    struct timer_heap timers;
    struct loop_watch *watches;
    struct posts posts, running; // two lists, so that a post made by a post waits a turn
    struct deferred *deferred;
    size_t n_deferred, cap_deferred;
    struct metric_series *stall;
};

// --- time ---

void loop_refresh_time(struct loop *loop)
{
    loop->now = mono_read();
    loop->wall_us = wall_read_us();
    if (!loop->time_known)
        loop->turn_start = loop->now;
    loop->time_known = true;
}

struct mono loop_now(struct loop *loop)
{
    if (!loop->time_known)
        loop_refresh_time(loop);
    return loop->now;
}

int64_t loop_wall_us(struct loop *loop)
{
    if (!loop->time_known)
        loop_refresh_time(loop);
    return loop->wall_us;
}

uint64_t loop_turns(const struct loop *loop)
{
    return loop->turns;
}

struct timer_heap *loop_timers(struct loop *loop)
{
    return &loop->timers;
}

struct lws_context *loop_lws(struct loop *loop)
{
    return loop->lws;
}

// --- watches ---

static uint32_t epoll_mask(unsigned events)
{
    return (events & LOOP_READ ? EPOLLIN : 0u) | (events & LOOP_WRITE ? EPOLLOUT : 0u);
}

// Registers, whatever the kernel knows of this number: the socket behind it may be another one.
static bool apply(struct loop_watch *watch)
{
    struct epoll_event event = {.events = epoll_mask(watch->events), .data.ptr = watch};
    int epoll_fd = watch->loop->epoll_fd;
    return epoll_ctl(epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) == 0 ||
           (errno == ENOENT && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) == 0);
}

// A number may be watched by a newer watch already when its library closed the socket first.
static bool number_taken(const struct loop_watch *watch)
{
    for (const struct loop_watch *w = watch->loop->watches; w != NULL; w = w->next) {
        if (w != watch && w->fd == watch->fd)
            return true;
    }
    return false;
}

static void forget_fd(struct loop_watch *watch)
{
    if (watch->fd >= 0 && !number_taken(watch))
        epoll_ctl(watch->loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    watch->fd = -1;
}

struct loop_watch *loop_watch(struct loop *loop, int fd, unsigned events, loop_fd_fn fn,
                              void *owner, struct status *st)
{
    struct loop_watch *watch = mem_zalloc(sizeof(*watch));
    *watch =
        (struct loop_watch){.loop = loop, .fn = fn, .owner = owner, .fd = fd, .events = events};
    if (!apply(watch)) {
        status_set_errno(st, STATUS_IO, errno, "cannot watch descriptor %d", fd);
        free(watch);
        return NULL;
    }
    watch->next = loop->watches;
    if (watch->next != NULL)
        watch->next->previous = watch;
    loop->watches = watch;
    return watch;
}

void loop_watch_set(struct loop_watch *watch, unsigned events)
{
    if (watch->events == events)
        return;
    watch->events = events;
    apply(watch);
}

bool loop_watch_update(struct loop_watch *watch, int fd, unsigned events)
{
    if (fd != watch->fd)
        forget_fd(watch);
    watch->fd = fd;
    watch->events = events;
    return apply(watch);
}

void loop_unwatch(struct loop_watch **pointer)
{
    struct loop_watch *watch = *pointer;
    if (watch == NULL)
        return;
    *pointer = NULL;
    forget_fd(watch);
    if (watch->previous != NULL)
        watch->previous->next = watch->next;
    else
        watch->loop->watches = watch->next;
    if (watch->next != NULL)
        watch->next->previous = watch->previous;
    watch->fn = NULL;
    loop_defer_free(watch->loop, watch, NULL);
}

static void dispatch(struct loop *loop)
{
    struct epoll_event events[EPOLL_BATCH];
    int n = epoll_wait(loop->epoll_fd, events, EPOLL_BATCH, 0);
    for (int i = 0; i < n; i++) {
        struct loop_watch *watch = events[i].data.ptr;
        if (watch == NULL) // the timerfd; it is read by running the timers
            continue;
        unsigned ready = (events[i].events & ~(uint32_t)EPOLLOUT ? LOOP_READ : 0) |
                         (events[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP) ? LOOP_WRITE : 0);
        // Errors are told to whoever watches, whatever it waits for, so that nothing spins.
        if (watch->fn != NULL)
            watch->fn(watch->owner, ready);
    }
}

static int epoll_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                          size_t length)
{
    (void)user;
    (void)in;
    (void)length;
    if (reason == LWS_CALLBACK_RAW_RX_FILE) {
        struct loop *loop = lws_context_user(lws_get_context(wsi));
        loop_refresh_time(loop);
        dispatch(loop);
    }
    return 0;
}

// --- posts and deferred frees ---

static void add_post(struct posts *posts, struct post post)
{
    if (posts->count == posts->cap) {
        posts->cap = posts->cap ? posts->cap * 2 : 16;
        posts->items = mem_realloc_array(posts->items, posts->cap, sizeof(*posts->items));
    }
    posts->items[posts->count++] = post;
}

void loop_post(struct loop *loop, loop_fn fn, void *owner)
{
    add_post(&loop->posts, (struct post){fn, owner});
}

static void take_back(struct posts *posts, const void *owner)
{
    for (size_t i = 0; i < posts->count; i++) {
        if (posts->items[i].owner == owner)
            posts->items[i].fn = NULL;
    }
}

void loop_unpost(struct loop *loop, const void *owner)
{
    take_back(&loop->posts, owner);
    take_back(&loop->running, owner);
}

static void run_posts(struct loop *loop)
{
    struct posts list = loop->posts;
    loop->posts = loop->running;
    loop->posts.count = 0;
    loop->running = list;
    for (size_t i = 0; i < loop->running.count; i++) {
        struct post post = loop->running.items[i];
        if (post.fn != NULL)
            post.fn(post.owner);
    }
    loop->running.count = 0;
}

void loop_defer_free(struct loop *loop, void *object, void (*free_fn)(void *))
{
    if (loop->n_deferred == loop->cap_deferred) {
        loop->cap_deferred = loop->cap_deferred ? loop->cap_deferred * 2 : 16;
        loop->deferred =
            mem_realloc_array(loop->deferred, loop->cap_deferred, sizeof(*loop->deferred));
    }
    loop->deferred[loop->n_deferred++] =
        (struct deferred){object, free_fn != NULL ? free_fn : free};
}

static void run_deferred(struct loop *loop)
{
    // A free function may defer again: what it adds is run too.
    for (size_t i = 0; i < loop->n_deferred; i++) {
        struct deferred d = loop->deferred[i];
        d.free_fn(d.object);
    }
    loop->n_deferred = 0;
}

// --- life ---

static void emit_lws_log(int level, const char *line)
{
    (void)level;
    // Mostly a far side's failures, which the owner of the connection reports in its own words.
    log_debug(NULL, "libwebsockets: %.*s", (int)strcspn(line, "\n"), line);
}

static const struct lws_protocols epoll_protocols[] = {
    {.name = "epoll", .callback = epoll_callback},
    {0},
};

static bool create_context(struct loop *loop)
{
    lws_set_log_level(LLL_ERR | LLL_WARN, emit_lws_log);
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
        .user = loop,
        // At least a TLS record: smaller ones hang under flow control (libwebsockets 2360).
        .pt_serv_buf_size = 65536,
        .max_http_header_data2 = 16384,
        .timeout_secs = 30,
    };
    loop->lws = lws_create_context(&info);
    return loop->lws != NULL;
}

static bool adopt_epoll(struct loop *loop)
{
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN, .vhost_name = "loop", .protocols = epoll_protocols};
    struct lws_vhost *vhost = lws_create_vhost(loop->lws, &info);
    if (vhost == NULL)
        return false;
    // libwebsockets closes what it adopted, so it gets a descriptor of its own.
    lws_sock_file_fd_type fd = {.filefd = fcntl(loop->epoll_fd, F_DUPFD_CLOEXEC, 0)};
    if (fd.filefd < 0)
        return false;
    loop->epoll_wsi = lws_adopt_descriptor_vhost(vhost, LWS_ADOPT_RAW_FILE_DESC, fd, "epoll", NULL);
    if (loop->epoll_wsi == NULL)
        close(fd.filefd);
    return loop->epoll_wsi != NULL;
}

struct loop *loop_create(struct status *st)
{
    struct loop *loop = mem_zalloc(sizeof(*loop));
    signal(SIGPIPE, SIG_IGN);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->stall = metric_series(METRIC_LOOP_STALL, NULL, NULL);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (loop->epoll_fd < 0 || !timer_heap_init(&loop->timers) ||
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->timers.fd, &event) != 0 ||
        !create_context(loop) || !adopt_epoll(loop)) {
        status_set_errno(st, STATUS_INTERNAL, errno, "cannot create the event loop");
        loop_destroy(&loop);
        return NULL;
    }
    return loop;
}

void loop_destroy(struct loop **pointer)
{
    struct loop *loop = *pointer;
    if (loop == NULL)
        return;
    *pointer = NULL;
    run_deferred(loop);
    if (loop->lws != NULL)
        lws_context_destroy(loop->lws);
    while (loop->watches != NULL) {
        struct loop_watch *watch = loop->watches;
        loop_unwatch(&watch);
    }
    run_deferred(loop);
    timer_heap_deinit(&loop->timers);
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    free(loop->posts.items);
    free(loop->running.items);
    free(loop->deferred);
    free(loop);
}

static void observe_turn(struct loop *loop)
{
    if (!loop->time_known) // nobody asked: nothing but libwebsockets' own housekeeping
        return;
    int64_t took = mono_diff(mono_read(), loop->turn_start);
    metric_observe(METRIC_LOOP_STALL, loop->stall, (double)took / 1e6, 1);
}

void loop_turn(struct loop *loop, bool wait)
{
    timer_heap_arm(&loop->timers);
    bool pending = loop->posts.count > 0 || loop->n_deferred > 0;
    loop->time_known = false;
    // A negative timeout polls once; any other value waits (the number itself is ignored).
    if (lws_service(loop->lws, wait && !pending ? 0 : -1) < 0)
        loop->stop = true;
    timer_heap_run(&loop->timers, loop_now(loop));
    run_posts(loop);
    run_deferred(loop);
    observe_turn(loop);
    loop->turns++;
}

void loop_run(struct loop *loop)
{
    loop->stop = false;
    while (!loop->stop)
        loop_turn(loop, true);
}

void loop_stop(struct loop *loop)
{
    loop->stop = true;
}
