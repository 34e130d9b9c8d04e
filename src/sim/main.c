// SPDX-License-Identifier: Apache-2.0
#include "core/log.h"
#include "sim.h"

#include <errno.h>
#include <getopt.h>
#include <libwebsockets.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const char help[] =
    "usage: cxsink-sim [OPTION...]\n"
    "\n"
    "A CXone tenant in one process: token endpoint (any path with \"token\" in it), event stream\n"
    "(any path, over WebSocket), the REST operations of jobs (their default paths, behind any\n"
    "prefix), faults on request. An effect happens once for an Idempotency-Key, as long as it is\n"
    "among the last 1,048,576; the last 1,024 versions and configurations are kept.\n"
    "\n"
    "  --listen HOST:PORT     an IPv4 address (default 127.0.0.1:8080; port 0 takes a free one)\n"
    "  --port-file FILE       write the port in use there\n"
    "  --cert FILE --key FILE TLS with this certificate and key (PEM)\n"
    "  --client-id ID --client-secret SECRET   only this client gets a token (default: any)\n"
    "  --expires-in SECONDS   life of a token (default 3600)\n"
    "  --no-auth              stream and REST take any client\n"
    "  --rate N               events/s (default 0: as fast as they are taken)\n"
    "  --count N              events in all (default 0: without end)\n"
    "  --size BYTES           of an event, about (default 230)\n"
    "  --duplicates PERCENT   the same event again\n"
    "  --older PERCENT        an older version of an event that was sent\n"
    "  --malformed PERCENT    events that must be rejected\n"
    "  --shift-ms N           added to every timestamp: newer versions of the same events\n"
    "  --seed N               which events (default 1)\n"
    "  --paused               sends nothing until POST /sim/set?paused=0\n"
    "  --exit-when-done       ends when everything was sent and the clients are gone\n"
    "\n"
    "Control, on the same port (curl -X POST ...):\n"
    "  GET  /sim/stats        what was sent, as JSON\n"
    "  POST /sim/set?rate=N&count=N&paused=0|1&expires_in=S\n"
    "  POST /sim/token?status=429&retry_after=2&times=3&delay=5&body=TEXT   token faults\n"
    "  POST /sim/stream?status=401&retry_after=2&times=3                    handshake faults\n"
    "  POST /sim/rest?surface=S&times=N&skip=N&...   faults of REST requests: N times, after "
    "`skip`\n"
    "       right ones. S: invoke status execute version health update read (default: all).\n"
    "       status=503&body=TEXT&retry_after=2   an answer (retry_at=2: as an HTTP date)\n"
    "       status=307&location=URL   delay=5   end=reset (in the body)   end=stall (after the "
    "headers)\n"
    "       effect=1|0: what was asked for is done all the same (default: without a status)\n"
    "  POST /sim/jobs?polls=N&invocation=FAILED&publish=draft&wrong_reads=N   polls until an "
    "invocation\n"
    "       ends, and how; status that a PATCH answers (empty: it publishes); wrong "
    "configurations\n"
    "  GET  /sim/effects?key=IDEMPOTENCY-KEY    how often it happened and was asked for\n"
    "  POST /sim/revoke       tokens handed out so far are refused\n"
    "  POST /sim/close?code=4001&reason=TEXT    close frame to every client\n"
    "  POST /sim/reset        TCP reset;  /sim/garbage  bytes that are no frame\n"
    "  POST /sim/silence      nothing is read or sent any more (half-open); /sim/speak  again\n";

enum { OPTION_FIRST = 256 };

enum option_id {
    O_LISTEN = OPTION_FIRST,
    O_PORT_FILE,
    O_CERT,
    O_KEY,
    O_CLIENT_ID,
    O_CLIENT_SECRET,
    O_EXPIRES,
    O_NO_AUTH,
    O_RATE,
    O_COUNT,
    O_SIZE,
    O_DUPLICATES,
    O_OLDER,
    O_MALFORMED,
    O_SHIFT,
    O_SEED,
    O_PAUSED,
    O_EXIT,
    O_HELP
};

static const struct option options[] = {
    {"listen", required_argument, NULL, O_LISTEN},
    {"port-file", required_argument, NULL, O_PORT_FILE},
    {"cert", required_argument, NULL, O_CERT},
    {"key", required_argument, NULL, O_KEY},
    {"client-id", required_argument, NULL, O_CLIENT_ID},
    {"client-secret", required_argument, NULL, O_CLIENT_SECRET},
    {"expires-in", required_argument, NULL, O_EXPIRES},
    {"no-auth", no_argument, NULL, O_NO_AUTH},
    {"rate", required_argument, NULL, O_RATE},
    {"count", required_argument, NULL, O_COUNT},
    {"size", required_argument, NULL, O_SIZE},
    {"duplicates", required_argument, NULL, O_DUPLICATES},
    {"older", required_argument, NULL, O_OLDER},
    {"malformed", required_argument, NULL, O_MALFORMED},
    {"shift-ms", required_argument, NULL, O_SHIFT},
    {"seed", required_argument, NULL, O_SEED},
    {"paused", no_argument, NULL, O_PAUSED},
    {"exit-when-done", no_argument, NULL, O_EXIT},
    {"help", no_argument, NULL, O_HELP},
    {0},
};

static bool parse_number(const char *text, double max, double *value_r)
{
    char *end;
    *value_r = strtod(text, &end);
    return end != text && *end == '\0' && *value_r >= 0 && *value_r <= max;
}

static bool parse_listen(char *text, struct sim_settings *s)
{
    char *colon = strrchr(text, ':');
    double port;
    if (colon == NULL || !parse_number(colon + 1, 65535, &port))
        return false;
    *colon = '\0';
    s->host = text;
    s->port = (unsigned short)port;
    return true;
}

static bool take_text(int option, struct sim_settings *s)
{
    switch (option) {
    case O_LISTEN:
        return parse_listen(optarg, s);
    case O_PORT_FILE:
        s->port_file = optarg;
        return true;
    case O_CERT:
        s->cert = optarg;
        return true;
    case O_KEY:
        s->key = optarg;
        return true;
    case O_CLIENT_ID:
        s->client_id = optarg;
        return true;
    case O_CLIENT_SECRET:
        s->client_secret = optarg;
        return true;
    case O_NO_AUTH:
        return s->no_auth = true;
    case O_PAUSED:
        return s->paused = true;
    case O_EXIT:
        return s->exit_when_done = true;
    default:
        return false;
    }
}

static bool take_number(int option, struct sim_settings *s)
{
    double n;
    bool percent = option == O_DUPLICATES || option == O_OLDER || option == O_MALFORMED;
    if (option < O_EXPIRES || option > O_SEED || option == O_NO_AUTH ||
        !parse_number(optarg, percent ? 100 : 1e15, &n))
        return false;
    if (option == O_EXPIRES)
        s->expires_in = n;
    else if (option == O_RATE)
        s->rate = n;
    else if (option == O_COUNT)
        s->count = (uint64_t)n;
    else if (option == O_SIZE)
        s->size = n < 64e6 ? (unsigned)n : 64000000;
    else if (option == O_DUPLICATES)
        s->duplicates = n;
    else if (option == O_OLDER)
        s->older = n;
    else if (option == O_MALFORMED)
        s->malformed = n;
    else if (option == O_SHIFT)
        s->shift_ms = (int64_t)n;
    else
        s->seed = (uint64_t)n;
    return true;
}

static void on_signal(void *owner, unsigned events)
{
    (void)events;
    loop_stop(owner);
}

static void on_pace(void *owner)
{
    struct sim *sim = owner;
    if (sim->settings.rate > 0 && !sim->settings.paused)
        sim_wake(sim);
}

static bool write_port(const struct sim *sim)
{
    int port = lws_get_vhost_listen_port(sim->vhost);
    printf("cxsink-sim: listening on %s://%s:%d\n", sim->settings.cert ? "https" : "http",
           sim->settings.host, port);
    fflush(stdout);
    if (sim->settings.port_file == NULL)
        return true;
    FILE *file = fopen(sim->settings.port_file, "we");
    if (file == NULL) {
        fprintf(stderr, "cxsink-sim: cannot write %s: %s\n", sim->settings.port_file,
                strerror(errno));
        return false;
    }
    fprintf(file, "%d\n", port);
    fclose(file);
    return true;
}

static int serve(struct sim *sim)
{
    if (!sim_listen(sim)) {
        fprintf(stderr, "cxsink-sim: cannot listen on %s port %u: is it free, and this user's%s?\n",
                sim->settings.host, sim->settings.port,
                sim->settings.cert ? "; are certificate and key PEM, and do they belong together"
                                   : "");
        return 69;
    }
    timer_init(&sim->pace, sim->loop, "pace", on_pace, sim);
    timer_start_periodic(&sim->pace, 2 * US_PER_MS);
    if (!write_port(sim))
        return 70;
    loop_run(sim->loop);
    return 0;
}

static int run(struct sim *sim)
{
    struct status st = {0};
    int code = 70;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    struct loop_watch *watch = NULL;
    if ((sim->loop = loop_create(&st)) == NULL ||
        (watch = loop_watch(sim->loop, signals, LOOP_READ, on_signal, sim->loop, &st)) == NULL) {
        fprintf(stderr, "cxsink-sim: %s\n", st.detail);
    } else {
        code = serve(sim);
    }
    loop_unwatch(&watch);
    loop_destroy(&sim->loop);
    close(signals);
    return code;
}

int main(int argc, char **argv)
{
    struct sim sim = {
        .settings = {.host = "127.0.0.1", .port = 8080, .expires_in = 3600, .seed = 1}};
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == O_HELP || option == 'h') {
            fputs(help, stdout);
            return 0;
        }
        if (option == '?')
            return 64;
        if (!take_text(option, &sim.settings) && !take_number(option, &sim.settings)) {
            fprintf(stderr, "cxsink-sim: wrong value \"%s\"; see cxsink-sim --help\n", optarg);
            return 64;
        }
    }
    if (optind < argc || (sim.settings.cert == NULL) != (sim.settings.key == NULL) ||
        (sim.settings.client_id == NULL) != (sim.settings.client_secret == NULL)) {
        fputs("cxsink-sim: takes options in pairs (cert and key, client-id and client-secret) and "
              "no arguments; see cxsink-sim --help\n",
              stderr);
        return 64;
    }
    log_init(LOG_TARGET_TEXT, LOG_LEVEL_WARN);
    sim_rest_init(&sim.rest);
    int code = run(&sim);
    sim_rest_deinit(&sim.rest);
    return code;
}
