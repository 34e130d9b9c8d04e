// SPDX-License-Identifier: Apache-2.0
// What is told of jobs that no run tells: that they were queued, and ends that no worker was there
// for.
#include "core/mem.h"
#include "jobs_priv.h"

#include <stdlib.h>
#include <string.h>

// Of a list, in a turn of the loop: each takes some microseconds.
#define TOLD_A_TURN 50

struct list {
    struct list *next;
    char *source;
    struct buf jobs; // id and action of each, with their NULs
    size_t at;
};

struct end {
    struct end *next;
    struct jobs *jobs;
    struct job *job; // owned
    const char *kind;
    char *error;
};

struct announcer {
    struct jobs *jobs;
    struct list *first, **last;
    bool posted;
    struct end *ends; // that are being stored
};

// --- queued --------------------------------------------------------------------------------------

static const char *kind_name(const struct jobs *jobs, const char *action)
{
    const struct config_action *found = jobs_find_action(jobs, action);
    return found != NULL ? job_kind(found->kind)->name : NULL;
}

void announce_queued(struct jobs *jobs, const char *id, const char *action, const char *source)
{
    const struct jobs_audit_field fields[] = {
        {"job", id}, {"kind", kind_name(jobs, action)}, {"action", action}, {"source", source}};
    jobs->callbacks.audit(jobs->owner, "job.queued", fields, 4);
}

static void free_list(struct announcer *a)
{
    struct list *list = a->first;
    a->first = list->next;
    if (a->first == NULL)
        a->last = &a->first;
    buf_deinit(&list->jobs);
    free(list->source);
    free(list);
}

static void tell_some(struct announcer *a, size_t most)
{
    while (a->first != NULL && most-- > 0) {
        struct list *list = a->first;
        const char *id = list->jobs.data + list->at;
        const char *action = id + strlen(id) + 1;
        list->at = (size_t)(action + strlen(action) + 1 - list->jobs.data);
        announce_queued(a->jobs, id, action, list->source);
        if (list->at == list->jobs.len)
            free_list(a);
    }
}

static void turn(void *owner)
{
    struct announcer *a = owner;
    tell_some(a, TOLD_A_TURN);
    a->posted = a->first != NULL;
    if (a->posted)
        loop_post(a->jobs->loop, turn, a);
}

void announce_list(struct announcer *a, const char *source, struct buf *jobs)
{
    struct list *list = mem_zalloc(sizeof(*list));
    list->source = mem_strdup(source);
    list->jobs = *jobs;
    *jobs = (struct buf){0};
    *a->last = list;
    a->last = &list->next;
    if (!a->posted)
        turn(a);
}

// --- ends ----------------------------------------------------------------------------------------

static void drop_end(struct end *end)
{
    struct end **at = &end->jobs->announcer->ends;
    while (*at != end)
        at = &(*at)->next;
    *at = end->next;
    queue_forget(end->jobs->queue, end);
    job_free(&end->job);
    free(end->error);
    free(end);
}

static void on_told(void *owner, enum status_code code)
{
    struct end *end = owner;
    if (code == STATUS_OK) { // else another worker tells it
        if (end->job->lease == 0 && strcmp(end->job->source, "sql") == 0)
            announce_queued(end->jobs, end->job->id, end->job->action, end->job->source);
        jobs_tell_end(end->jobs, end->job, end->kind, 0, end->error);
        notifier_wake(end->jobs->notifier);
    }
    drop_end(end);
}

// The notification as the run would have made it.
static bool compose(const struct jobs *jobs, const struct job *job, const char *error,
                    struct buf *out)
{
    const struct config_action *action = jobs_find_action(jobs, job->action);
    struct tape params;
    bool made = false;
    tape_init(&params, 0);
    if (action != NULL && tape_parse(&params, job->params, job->params_length)) {
        struct kind_context context = {
            .action = action, .params = &params, .wall_us = loop_wall_us(jobs->loop)};
        made = job_kind(action->kind)->notification(job, &context, error, out);
    }
    tape_deinit(&params);
    return made;
}

void announce_end(struct jobs *jobs, struct job *job, const char *error)
{
    struct end *end = mem_zalloc(sizeof(*end));
    struct buf notification = {0};
    *end = (struct end){.next = jobs->announcer->ends,
                        .jobs = jobs,
                        .job = job,
                        .kind = kind_name(jobs, job->action),
                        .error = mem_strdup(error)};
    jobs->announcer->ends = end;
    if (job->started_us == 0) // it took no time
        job->started_us = loop_wall_us(jobs->loop);
    bool notifies = compose(jobs, job, error, &notification);
    queue_end_told(jobs->queue, job->id, notifies ? buf_text(&notification) : NULL, on_told, end);
    buf_deinit(&notification);
}

// --- life ----------------------------------------------------------------------------------------

struct announcer *announcer_create(struct jobs *jobs)
{
    struct announcer *a = mem_zalloc(sizeof(*a));
    a->jobs = jobs;
    a->last = &a->first;
    return a;
}

void announcer_destroy(struct announcer **pointer)
{
    struct announcer *a = *pointer;
    if (a == NULL)
        return;
    tell_some(a, SIZE_MAX);
    while (a->ends != NULL)
        drop_end(a->ends);
    loop_unpost(a->jobs->loop, a);
    *pointer = NULL;
    free(a);
}
