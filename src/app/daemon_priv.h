// SPDX-License-Identifier: Apache-2.0
// What the files of the daemon share: the one object that knows every stage.
//
// Structure: a struct daemon owns the loop, the resolver, the HTTP client, the audit log, the
// history, the spool, the sink, the pipeline, the admin endpoint, a struct app_token for each
// configured credential and a struct app_stream for each stream.
#ifndef CXSINK_APP_DAEMON_PRIV_H
#define CXSINK_APP_DAEMON_PRIV_H

#include "app/certificates.h"
#include "app/pipeline.h"
#include "auth/token.h"
#include "config/load.h"
#include "config/ref.h"
#include "core/counter.h"
#include "core/loop.h"
#include "core/timer.h"
#include "jobs/jobs.h"
#include "net/http.h"
#include "net/resolve.h"
#include "ops/admin.h"
#include "ops/audit.h"
#include "ops/history.h"
#include "sink/sink.h"
#include "spool/spool.h"
#include "stream/session.h"

struct daemon;

struct app_token {
    struct config_ref *ref;
    const struct config_auth *config; // in ref->config
    struct token *token;
    struct metric_series *expiry;
};

struct app_stream {
    struct daemon *daemon;
    struct config_ref *ref;
    const struct config_stream *config; // in ref->config
    struct certificates_mark certificates;
    const char *name;        // interned: as long as the daemon
    struct app_token *token; // NULL: none
    struct token_waiter *waiter;
    struct session *session;
    uint64_t pending;      // appended since the last group commit
    int64_t last_event_us; // wall clock, 0: none yet
    bool starved;          // the spool had no room for a message
    struct metric_series *received_events, *received_bytes, *connected;
};

// Up to where a stream's events are committed.
struct app_passed {
    const char *stream; // interned
    uint64_t seq;
};

// Where the spool is read while streams are held (app/hold.c). `pushed` and `read` begin anew with
// each rewind.
struct app_hold {
    bool active;           // a stream is held, or was, and what is in the spool may be committed
    uint64_t acked;        // by the sink
    uint64_t pushed, read; // newest record that went to the sink; that was looked at
    uint64_t first;        // oldest that was passed over, since its stream is held; 0: none
    struct app_passed *passed; // owned; while active
    size_t n_passed;
};

enum daemon_phase { DAEMON_RUNNING, DAEMON_DRAINING };

struct daemon {
    const char *path; // of the configuration
    enum daemon_phase phase;
    struct loop *loop;
    struct config_ref *ref; // the configuration in force
    struct schema_set *schemas;
    struct resolver *resolver;
    struct http_client *http;
    struct audit *audit;
    struct history *history;
    struct spool *spool;
    struct sink *sink;
    struct pipeline *pipeline;
    struct jobs *jobs;
    struct admin *admin;
    struct config_ref *admin_ref; // the configuration that it was made with
    struct app_token **tokens;
    size_t n_tokens;
    struct app_stream **streams;
    size_t n_streams;
    char **names; // interned stream names
    size_t n_names;
    int signal_fd;
    struct loop_watch *signal_watch;
    struct timer commit_timer, pump_timer, tick_timer, drain_timer, deadline_timer, watchdog_timer;
    struct app_hold hold;
    bool pump_posted;
    bool commit_failing;
    bool jobs_stopped; // draining: nothing of them is under way any more
    bool asked_again;  // draining: by a second signal
    int64_t started_us;
    struct metric_series *sync_seconds;
};

// app/streams.c: sessions and tokens, and where their events go.
const char *app_intern(struct daemon *d, const char *name, size_t length);
// Makes what the configuration in force asks for, keeps what did not change, ends the rest.
bool app_streams_apply(struct daemon *d, struct status *st);
void app_streams_start(struct daemon *d);
void app_streams_stop(struct daemon *d);
bool app_streams_stopped(const struct daemon *d);
void app_streams_destroy(struct daemon *d);
// There is room in the spool again.
void app_streams_resume(struct daemon *d);

// app/flow.c: frames into the spool, records through the pipeline, acknowledgements back.
enum session_verdict flow_message(struct app_stream *stream, enum session_frame frame,
                                  const char *data, size_t length);
void flow_commit(struct daemon *d);
void flow_pump_soon(struct daemon *d);
void flow_init(struct daemon *d);
struct spool_settings flow_spool_settings(struct daemon *d, const struct config *config,
                                          const char *dir);
struct sink_callbacks flow_sink_callbacks(void);

// app/hold.c: streams that are held by their reject_guard stay in the spool; the others go on.
// Whether a record that was read is not to be pushed: its stream is held, or it is committed.
bool hold_skips(struct daemon *d, uint64_t seq, const char *stream);
void hold_acked(struct daemon *d, uint64_t seq);
// Tells the spool what is done with.
void hold_acknowledge(struct daemon *d);
// The spool is read again from its beginning.
void hold_rewound(struct daemon *d);
void hold_began(void *daemon, const char *stream, const struct sink_hold *hold);
// Goes on with a stream (NULL: all that are held). Returns how many there were. `by` is for the
// audit log and the log.
unsigned hold_release(struct daemon *d, const char *stream, bool accept, const char *by);
// A new configuration: sink_reconfigure, which comes next, goes on with all of them.
void hold_reloaded(struct daemon *d);
int hold_change(void *daemon, const struct admin_change *change, struct buf *out);
// The spool is nearly full: what is held goes on, and what is refused becomes dead letters.
void hold_relieve(struct daemon *d);
// Whether nothing but what is held is left to do.
bool hold_is_all(struct daemon *d);
void hold_deinit(struct daemon *d);

// app/jobs.c: the jobs' tokens and audit, and what is told about them.
void app_jobs_create(struct daemon *d);
void app_jobs_metrics(struct daemon *d);
// Appends the member "jobs", with a comma before it; nothing where there are none.
void app_jobs_status(struct daemon *d, struct buf *out);

// app/report.c: what is told about it all.
void report_status(void *daemon, struct buf *out);
bool report_ready(void *daemon, struct buf *reasons);
void report_metrics(void *daemon, struct buf *out);
// The value of a series; its second label may be NULL: whatever it is. 0: there is none.
double report_value(enum metric metric, const char *value1, const char *value2);
// The sum of the series with this first label, or (NULL) of all.
double report_sum(enum metric metric, const char *value1);
// One sentence for systemd's status line.
void report_sentence(struct daemon *d, struct buf *out);

// app/live.c: what the status page shows.
// Once a second, for the history.
void live_sample(struct daemon *d);
// Appends {"status", "history", "audit"}, of the last two what is new since the mark.
void live_snapshot(void *daemon, struct admin_mark *mark, struct buf *out);

#endif
