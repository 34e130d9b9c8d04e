// SPDX-License-Identifier: Apache-2.0
#include "net/resolve.h"

#include "core/clock.h"
#include "core/loop.h"
#include "core/mem.h"
#include "net/resolve_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define GOOD_FOR_US (30 * US_PER_S)
#define FAILED_FOR_US (2 * US_PER_S)
#define HOST_MAX 253 // of a name, RFC 1035 section 2.3.4

// Structure: a struct resolver belongs to the loop. It holds the names (struct name: a cached
// answer, or a lookup under way) and the requests. A struct job carries one name to the thread and
// its answer back; jobs and nothing else are shared, in struct shared, under its lock.

struct job {
    struct job *next;
    struct resolve_result result;
    char host[]; // ends with a NUL
};

struct jobs {
    struct job *first, **end;
};

struct shared {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct jobs todo, done;
    struct resolve_lookup lookup;
    bool quit;     // the resolver is gone or going
    bool busy;     // the thread is in a lookup
    bool orphaned; // the thread frees this struct itself
    int event_fd;  // written when `done` gets a job
};

struct name {
    struct name *next;
    struct mono expires;
    bool pending; // a job is under way; then `result` means nothing yet
    struct resolve_result result;
    char host[];
};

struct resolve_request {
    struct resolver *resolver;
    struct resolve_request *previous, *next;
    struct resolve_request **handle; // the caller's; may be NULL
    resolve_fn fn;
    void *owner;
    struct name *name; // waits for this one's job; NULL: answered, the post is under way
    struct resolve_result result;
};

struct resolver {
    struct loop *loop;
    struct loop_watch *watch;
    struct shared *shared;
    pthread_t thread;
    struct name *names;
    struct resolve_request *requests;
};

// --- jobs ---

static void jobs_init(struct jobs *jobs)
{
    jobs->first = NULL;
    jobs->end = &jobs->first;
}

static void jobs_add(struct jobs *jobs, struct job *job)
{
    job->next = NULL;
    *jobs->end = job;
    jobs->end = &job->next;
}

static struct job *jobs_take(struct jobs *jobs)
{
    struct job *job = jobs->first;
    if (job == NULL)
        return NULL;
    jobs->first = job->next;
    if (jobs->first == NULL)
        jobs->end = &jobs->first;
    return job;
}

static void jobs_free(struct jobs *jobs)
{
    struct job *job;
    while ((job = jobs_take(jobs)) != NULL)
        free(job);
}

// --- the thread ---

static void add_address(struct resolve_result *result, const char *address)
{
    for (size_t i = 0; i < result->count; i++) {
        if (strcmp(result->addresses[i], address) == 0)
            return;
    }
    if (result->count < RESOLVE_ADDRESSES_MAX)
        snprintf(result->addresses[result->count++], RESOLVE_ADDRESS_SIZE, "%s", address);
}

static void fail(struct resolve_result *result, enum status_code code, const char *host,
                 const char *reason)
{
    result->code = code;
    snprintf(result->detail, sizeof(result->detail), "cannot resolve \"%.80s\": %s", host, reason);
}

static enum status_code code_of(int error)
{
    return error == EAI_NONAME || error == EAI_NODATA ? STATUS_NOT_FOUND : STATUS_UNAVAILABLE;
}

static void look_up(const struct resolve_lookup *lookup, struct job *job)
{
    // Not AI_ADDRCONFIG, which hides loopback addresses where there is no other network; the order
    // of RFC 6724 puts what cannot be reached last.
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int error = lookup->resolve(job->host, NULL, &hints, &list);
    if (error != 0) {
        char reason[96];
        const char *text =
            error == EAI_SYSTEM ? strerror_r(errno, reason, sizeof(reason)) : gai_strerror(error);
        fail(&job->result, code_of(error), job->host, text);
        return;
    }
    for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
        char text[RESOLVE_ADDRESS_SIZE];
        if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) ==
            0)
            add_address(&job->result, text);
    }
    lookup->release(list);
    if (job->result.count == 0)
        fail(&job->result, STATUS_NOT_FOUND, job->host, "it has no address");
}

static void shared_free(struct shared *shared)
{
    jobs_free(&shared->todo);
    jobs_free(&shared->done);
    pthread_cond_destroy(&shared->wake);
    pthread_mutex_destroy(&shared->lock);
    if (shared->event_fd >= 0)
        close(shared->event_fd);
    free(shared);
}

static void signal_done(struct shared *shared, struct job *job)
{
    jobs_add(&shared->done, job);
    uint64_t one = 1;
    // Fails only when the counter is full, and then the loop is awake anyway.
    ssize_t ignored = write(shared->event_fd, &one, sizeof(one));
    (void)ignored;
}

static void *thread_main(void *argument)
{
    struct shared *shared = argument;
    pthread_mutex_lock(&shared->lock);
    while (!shared->quit) {
        struct job *job = jobs_take(&shared->todo);
        if (job == NULL) {
            pthread_cond_wait(&shared->wake, &shared->lock);
            continue;
        }
        struct resolve_lookup lookup = shared->lookup;
        shared->busy = true;
        pthread_mutex_unlock(&shared->lock);
        look_up(&lookup, job);
        pthread_mutex_lock(&shared->lock);
        shared->busy = false;
        signal_done(shared, job);
    }
    bool orphaned = shared->orphaned;
    pthread_mutex_unlock(&shared->lock);
    if (orphaned)
        shared_free(shared);
    return NULL;
}

// --- requests ---

static void unlink_request(struct resolve_request *request)
{
    if (request->previous != NULL)
        request->previous->next = request->next;
    else
        request->resolver->requests = request->next;
    if (request->next != NULL)
        request->next->previous = request->previous;
    if (request->handle != NULL)
        *request->handle = NULL;
}

static void deliver(void *owner)
{
    struct resolve_request *request = owner;
    unlink_request(request);
    request->fn(request->owner, &request->result);
    free(request); // `fn` cannot reach it any more
}

static void answer(struct resolve_request *request, const struct resolve_result *result)
{
    request->name = NULL;
    request->result = *result;
    loop_post(request->resolver->loop, deliver, request);
}

void resolver_cancel(struct resolve_request **request_r)
{
    struct resolve_request *request = *request_r;
    if (request == NULL)
        return;
    *request_r = NULL;
    loop_unpost(request->resolver->loop, request);
    unlink_request(request);
    free(request);
}

// --- names ---

static struct name *find_name(struct resolver *resolver, const char *host)
{
    for (struct name *name = resolver->names; name != NULL; name = name->next) {
        if (strcmp(name->host, host) == 0)
            return name;
    }
    return NULL;
}

// Every name that is not pending and too old; what is pending has its job, which finds it again.
static void drop_expired(struct resolver *resolver)
{
    struct mono now = loop_now(resolver->loop);
    for (struct name **at = &resolver->names; *at != NULL;) {
        struct name *name = *at;
        if (name->pending || mono_diff(name->expires, now) > 0) {
            at = &name->next;
        } else {
            *at = name->next;
            free(name);
        }
    }
}

static void name_done(struct resolver *resolver, const struct job *job)
{
    struct name *name = find_name(resolver, job->host);
    if (name == NULL || !name->pending)
        return;
    name->pending = false;
    name->result = job->result;
    int64_t good_for = job->result.code == STATUS_OK ? GOOD_FOR_US : FAILED_FOR_US;
    name->expires = mono_add(loop_now(resolver->loop), good_for);
    // Oldest first: the list grows at its head.
    struct resolve_request *request = resolver->requests;
    while (request != NULL && request->next != NULL)
        request = request->next;
    for (; request != NULL; request = request->previous) {
        if (request->name == name)
            answer(request, &name->result);
    }
}

static void on_event(void *owner, unsigned events)
{
    (void)events;
    struct resolver *resolver = owner;
    struct shared *shared = resolver->shared;
    uint64_t count;
    ssize_t ignored = read(shared->event_fd, &count, sizeof(count));
    (void)ignored;
    for (;;) {
        pthread_mutex_lock(&shared->lock);
        struct job *job = jobs_take(&shared->done);
        pthread_mutex_unlock(&shared->lock);
        if (job == NULL)
            return;
        name_done(resolver, job);
        free(job);
    }
}

static struct name *start_lookup(struct resolver *resolver, const char *host)
{
    size_t size = strlen(host) + 1;
    struct name *name = mem_zalloc(sizeof(*name) + size);
    memcpy(name->host, host, size);
    name->pending = true;
    name->next = resolver->names;
    resolver->names = name;
    struct job *job = mem_zalloc(sizeof(*job) + size);
    memcpy(job->host, host, size);
    struct shared *shared = resolver->shared;
    pthread_mutex_lock(&shared->lock);
    jobs_add(&shared->todo, job);
    pthread_cond_signal(&shared->wake);
    pthread_mutex_unlock(&shared->lock);
    return name;
}

static bool is_numeric(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    char text[RESOLVE_ADDRESS_SIZE];
    size_t length = strcspn(host, "%"); // of a scope
    if (strlen(host) >= sizeof(text))
        return false;
    memcpy(text, host, length);
    text[length] = '\0';
    return inet_pton(AF_INET6, text, address) == 1 ||
           (host[length] == '\0' && inet_pton(AF_INET, text, address) == 1);
}

static void resolve(struct resolver *resolver, struct resolve_request *request, const char *host)
{
    struct resolve_result result = {.code = STATUS_OK};
    size_t length = strlen(host);
    if (length == 0 || length > HOST_MAX + 1) { // 1: a final dot
        fail(&result, STATUS_INVALID, host, "this is not a host name");
        answer(request, &result);
        return;
    }
    if (is_numeric(host)) {
        add_address(&result, host);
        answer(request, &result);
        return;
    }
    drop_expired(resolver);
    struct name *name = find_name(resolver, host);
    if (name == NULL)
        name = start_lookup(resolver, host);
    if (name->pending)
        request->name = name;
    else
        answer(request, &name->result);
}

void resolver_start(struct resolver *resolver, const char *host, resolve_fn fn, void *owner,
                    struct resolve_request **request_r)
{
    struct resolve_request *request = mem_zalloc(sizeof(*request));
    request->resolver = resolver;
    request->handle = request_r;
    request->fn = fn;
    request->owner = owner;
    request->next = resolver->requests;
    if (request->next != NULL)
        request->next->previous = request;
    resolver->requests = request;
    if (request_r != NULL)
        *request_r = request;
    resolve(resolver, request, host);
}

// --- life ---

void resolver_set_lookup(struct resolver *resolver, const struct resolve_lookup *lookup)
{
    pthread_mutex_lock(&resolver->shared->lock);
    resolver->shared->lookup = *lookup;
    pthread_mutex_unlock(&resolver->shared->lock);
}

static struct shared *shared_create(void)
{
    struct shared *shared = mem_zalloc(sizeof(*shared));
    pthread_mutex_init(&shared->lock, NULL);
    pthread_cond_init(&shared->wake, NULL);
    jobs_init(&shared->todo);
    jobs_init(&shared->done);
    shared->lookup = (struct resolve_lookup){getaddrinfo, freeaddrinfo};
    shared->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return shared;
}

// Signals are the loop's (signalfd): a thread that took one would lose it.
static int start_thread(struct resolver *resolver)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int error = pthread_create(&resolver->thread, NULL, thread_main, resolver->shared);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return error;
}

struct resolver *resolver_create(struct loop *loop, struct status *st)
{
    struct resolver *resolver = mem_zalloc(sizeof(*resolver));
    resolver->loop = loop;
    resolver->shared = shared_create();
    int error = resolver->shared->event_fd < 0 ? errno : 0;
    if (error == 0) {
        resolver->watch =
            loop_watch(loop, resolver->shared->event_fd, LOOP_READ, on_event, resolver, st);
        error = resolver->watch == NULL ? errno : start_thread(resolver);
    }
    if (error == 0)
        return resolver;
    loop_unwatch(&resolver->watch);
    shared_free(resolver->shared);
    free(resolver);
    status_set_errno(st, STATUS_IO, error, "cannot start the thread that resolves names");
    return NULL;
}

// Waits for an idle thread, which is gone at once; one that hangs in a lookup is left alone.
static void end_thread(struct resolver *resolver)
{
    struct shared *shared = resolver->shared;
    pthread_mutex_lock(&shared->lock);
    bool busy = shared->busy;
    shared->quit = true;
    shared->orphaned = busy;
    pthread_cond_signal(&shared->wake);
    pthread_mutex_unlock(&shared->lock);
    if (busy) {
        pthread_detach(resolver->thread);
        return;
    }
    pthread_join(resolver->thread, NULL);
    shared_free(shared);
}

void resolver_destroy(struct resolver **pointer)
{
    struct resolver *resolver = *pointer;
    if (resolver == NULL)
        return;
    *pointer = NULL;
    while (resolver->requests != NULL) {
        struct resolve_request *request = resolver->requests;
        resolver_cancel(&request);
    }
    while (resolver->names != NULL) {
        struct name *name = resolver->names;
        resolver->names = name->next;
        free(name);
    }
    loop_unwatch(&resolver->watch);
    end_thread(resolver);
    free(resolver);
}
