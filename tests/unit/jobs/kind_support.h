// SPDX-License-Identifier: Apache-2.0
// For the tests of the kinds: a job that is driven by scripted answers. Every plan is made twice,
// the second time from the record as a restart would read it, and must be the same.
#ifndef CXSINK_TESTS_KIND_SUPPORT_H
#define CXSINK_TESTS_KIND_SUPPORT_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/mem.h"
#include "jobs/kind.h"
#include "json/lookup.h"
#include "json/tape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACTION_UUID "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
#define TRACE_ID "11111111-1111-4111-8111-111111111111"
#define KEY "22222222-2222-4222-8222-222222222222"
#define SECOND INT64_C(1000000)
#define START (INT64_C(1760000000) * SECOND) // 2025-10-09T08:53:20Z

struct drive {
    const struct job_kind *kind;
    struct config_action action;
    struct kind_context context;
    struct tape params;
    char *params_text;
    struct job *job;
    struct job_op op;
    struct job_verdict verdict;
};

// Every ' becomes a ".
static inline char *quoted(const char *text)
{
    char *copy = mem_strdup(text);
    for (char *p = copy; *p != '\0'; p++) {
        if (*p == '\'')
            *p = '"';
    }
    return copy;
}

static inline void drive_begin(struct drive *d, const struct job_kind *kind, const char *params)
{
    d->kind = kind;
    d->params_text = quoted(params);
    tape_init(&d->params, 0);
    assert_true(tape_parse(&d->params, d->params_text, strlen(d->params_text)));
    d->context = (struct kind_context){&d->action, &d->params, START, NULL};
    d->job = mem_zalloc(sizeof(*d->job));
    d->job->id = mem_strdup("job-1");
    d->job->action = mem_strdup("the-action");
    strcpy(d->job->trace_id, TRACE_ID);
    strcpy(d->job->idempotency_key, KEY);
    d->job->started_us = START;
    d->job->attempt = 1;
    strcpy(d->job->step, kind->steps[0]);
}

static inline void drive_end(struct drive *d)
{
    job_op_deinit(&d->op);
    tape_deinit(&d->params);
    job_free(&d->job);
    free(d->params_text);
}

static inline int drive_set_up(void **state, struct config_action action)
{
    struct drive *d = mem_zalloc(sizeof(*d));
    d->action = action;
    *state = d;
    return 0;
}

static inline int drive_tear_down(void **state)
{
    struct drive *d = *state;
    drive_end(d);
    free(d);
    return 0;
}

// The record as another process reads it.
static inline struct job *drive_copy(const struct job *job)
{
    struct job *copy = mem_alloc(sizeof(*copy));
    *copy = *job;
    copy->id = mem_strdup(job->id);
    copy->action = mem_strdup(job->action);
    copy->remote_id = job->remote_id != NULL ? mem_strdup(job->remote_id) : NULL;
    copy->progress = job->progress != NULL ? mem_strdup(job->progress) : NULL;
    return copy;
}

static inline void same_text(struct buf *a, struct buf *b)
{
    assert_string_equal(buf_text(a), buf_text(b));
}

static inline void same_op(struct job_op *a, struct job_op *b)
{
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->effect, b->effect);
    assert_true(a->timeout_us == b->timeout_us);
    assert_true(a->delay_us == b->delay_us);
    assert_string_equal(a->idempotency_key, b->idempotency_key);
    assert_int_equal(a->payload.type, b->payload.type);
    same_text(&a->path, &b->path);
    same_text(&a->body, &b->body);
    same_text(&a->body_tail, &b->body_tail);
    same_text(&a->key, &b->key);
    same_text(&a->result, &b->result);
}

// Plans; the step is one that the kind names, and a restart here plans the same.
static inline struct job_op *drive_plan(struct drive *d)
{
    struct job *restarted = drive_copy(d->job);
    struct job_op again = {0};
    const char *const *step = d->kind->steps;
    while (*step != NULL && strcmp(*step, d->job->step) != 0)
        step++;
    assert_non_null(*step);
    job_op_deinit(&d->op);
    d->kind->plan(d->job, &d->context, &d->op);
    d->kind->plan(restarted, &d->context, &again);
    same_op(&d->op, &again);
    job_op_deinit(&again);
    job_free(&restarted);
    return &d->op;
}

static inline void drive_take(struct drive *d, struct job_answer *answer)
{
    if (answer->body == NULL)
        answer->body = "";
    if (answer->message == NULL)
        answer->message = "";
    d->verdict = (struct job_verdict){0};
    d->kind->take(d->job, &d->context, answer, &d->verdict);
    if (d->job->progress != NULL) { // what is stored is JSON
        struct tape tape;
        tape_init(&tape, 0);
        assert_true(tape_parse(&tape, d->job->progress, strlen(d->job->progress)));
        assert_false(tape.has_nul);
        tape_deinit(&tape);
    }
}

// An HTTP answer; ' for ".
static inline void drive_http(struct drive *d, int status, const char *body)
{
    char *text = quoted(body);
    struct tape json;
    tape_init(&json, 0);
    struct job_answer answer = {.type = JOB_ANSWER_HTTP,
                                .status = status,
                                .body = text,
                                .body_length = strlen(text),
                                .sent = true};
    if (tape_parse(&json, text, strlen(text)))
        answer.json = &json;
    drive_take(d, &answer);
    tape_deinit(&json);
    free(text);
}

static inline void drive_give_up(struct drive *d, int status, bool sent, const char *message)
{
    drive_take(d,
               &(struct job_answer){
                   .type = JOB_ANSWER_GAVE_UP, .status = status, .sent = sent, .message = message});
}

static inline void drive_ok(struct drive *d, enum job_answer_type type, bool ok,
                            const char *message)
{
    drive_take(d, &(struct job_answer){.type = type, .ok = ok, .message = message});
}

// The next operation is this request.
static inline struct job_op *drive_sends(struct drive *d, const char *method, const char *path)
{
    struct job_op *op = drive_plan(d);
    assert_int_equal(op->type, JOB_OP_SEND);
    assert_string_equal(op->method, method);
    assert_string_equal(buf_text(&op->path), path);
    return op;
}

// A buffer's text is this; ' for ".
static inline void has_json(struct buf *text, const char *expected)
{
    char *json = quoted(expected);
    assert_string_equal(buf_text(text), json);
    free(json);
}

// The next operation is the end, with this text.
static inline void drive_ends(struct drive *d, enum job_op_type type, const char *expected)
{
    struct job_op *op = drive_plan(d);
    assert_int_equal(op->type, type);
    has_json(&op->result, expected);
}

// The next operation is a failure whose error has this member, as JSON.
static inline void drive_fails_with(struct drive *d, const char *name, const char *fragment)
{
    struct job_op *op = drive_plan(d);
    struct tape tape;
    assert_int_equal(op->type, JOB_OP_FAIL);
    tape_init(&tape, 0);
    assert_true(tape_parse(&tape, buf_text(&op->result), op->result.len));
    char *raw = lookup_raw(&tape, lookup_member(&tape, 0, name));
    if (raw == NULL || strstr(raw, fragment) == NULL)
        fail_msg("%s: \"%s\" is not in %s", name, fragment, buf_text(&op->result));
    free(raw);
    tape_deinit(&tape);
}

static inline void drive_fails(struct drive *d, const char *fragment)
{
    drive_fails_with(d, "message", fragment);
}

// The notification of a job in this state, of what the last plan ended with.
static inline void drive_notifies(struct drive *d, enum job_state state, const char *expected)
{
    struct buf out = {0};
    d->job->state = state;
    assert_true(d->kind->notification(d->job, &d->context, buf_text(&d->op.result), &out));
    has_json(&out, expected);
    buf_deinit(&out);
}

// Exactly one fault, or none (`pointer` NULL).
static inline void check_with(const struct job_kind *kind, const struct kind_context *given,
                              const char *params, const char *pointer, const char *fragment)
{
    char *text = quoted(params);
    struct tape tape;
    struct job_faults faults = {0};
    struct kind_context context = *given;
    context.params = &tape;
    tape_init(&tape, 0);
    assert_true(tape_parse(&tape, text, strlen(text)));
    kind->check(&context, &faults);
    bool right = faults.count == (pointer != NULL);
    if (right && pointer != NULL)
        right = strcmp(faults.items[0].pointer, pointer) == 0 &&
                strstr(faults.items[0].message, fragment) != NULL;
    for (size_t i = 0; !right && i < faults.count; i++)
        print_message("  %s: %s\n", faults.items[i].pointer, faults.items[i].message);
    if (!right)
        fail_msg("%.200s: expected %s %s", params, pointer != NULL ? pointer : "no fault",
                 fragment != NULL ? fragment : "");
    job_faults_free(&faults);
    tape_deinit(&tape);
    free(text);
}

static inline void check_one(const struct job_kind *kind, const struct config_action *action,
                             const char *params, const char *pointer, const char *fragment)
{
    const struct kind_context context = {action, NULL, START, NULL};
    check_with(kind, &context, params, pointer, fragment);
}

#endif
