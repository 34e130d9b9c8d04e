// SPDX-License-Identifier: Apache-2.0
// A private PostgreSQL server for a test program: its own cluster in a temporary directory, on a
// unix socket there and on a free port of 127.0.0.1, run as user postgres when the test is root.
// It ends with the test, also when the test crashes. Header-only; everything is static.
//
// Role `postgres` is a superuser and needs no password; role `pwuser` (create it) needs
// one over TCP (scram-sha-256).
#ifndef CXSINK_TESTS_SUPPORT_PG_SERVER_H
#define CXSINK_TESTS_SUPPORT_PG_SERVER_H

#include "support/patience.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <grp.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PG_SERVER_UNUSED __attribute__((unused))

struct pg_server {
    char dir[64];  // holds data/, log and the socket
    char bin[128]; // where initdb and postgres are
    char dsn[256];
    int port;
    pid_t pid; // of the postmaster; 0: not running
    uid_t uid; // 0: the test's own
    gid_t gid;
};

static inline void pg_server_die(const struct pg_server *s, const char *what)
{
    fprintf(stderr, "pg_server: %s\n", what);
    char command[128];
    snprintf(command, sizeof(command), "tail -n 20 %s/log >&2", s->dir);
    if (system(command) != 0)
        fprintf(stderr, "pg_server: no log\n");
    abort();
}

static inline void pg_server_pause(void)
{
    struct timespec t = {.tv_nsec = 10 * 1000 * 1000};
    nanosleep(&t, NULL);
}

// In the child: drops root, sends output to the log, becomes the program.
static inline void pg_server_exec(const struct pg_server *s, char *const argv[])
{
    char log[96];
    snprintf(log, sizeof(log), "%s/log", s->dir);
    if (s->uid != 0 && (setgroups(0, NULL) != 0 || setgid(s->gid) != 0 || setuid(s->uid) != 0))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(fd, 1);
    dup2(fd, 2);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (chdir(s->dir) == 0)
        execv(argv[0], argv);
    _exit(127);
}

static inline pid_t pg_server_spawn(const struct pg_server *s, char *const argv[])
{
    pid_t pid = fork();
    if (pid == 0)
        pg_server_exec(s, argv);
    return pid;
}

static inline void pg_server_find(struct pg_server *s)
{
    glob_t found;
    if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) != 0)
        pg_server_die(s, "no /usr/lib/postgresql/*/bin/initdb; install postgresql");
    const char *last = found.gl_pathv[found.gl_pathc - 1];
    snprintf(s->bin, sizeof(s->bin), "%.*s", (int)(strlen(last) - strlen("/initdb")), last);
    globfree(&found);
}

static PG_SERVER_UNUSED int pg_server_free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&at, size) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) != 0)
        abort();
    close(fd);
    return ntohs(at.sin_port);
}

static inline void pg_server_initdb(struct pg_server *s)
{
    char program[160], data[96];
    snprintf(program, sizeof(program), "%s/initdb", s->bin);
    snprintf(data, sizeof(data), "%s/data", s->dir);
    char *argv[] = {program, "-D",   data,         "-U",        "postgres",          "-A", "trust",
                    "-E",    "UTF8", "--locale=C", "--no-sync", "--no-instructions", NULL};
    int code = 0;
    pid_t pid = pg_server_spawn(s, argv);
    if (waitpid(pid, &code, 0) != pid || code != 0)
        pg_server_die(s, "initdb failed");
    char hba[128];
    snprintf(hba, sizeof(hba), "%s/pg_hba.conf", data);
    FILE *file = fopen(hba, "w");
    if (file == NULL)
        pg_server_die(s, "cannot write pg_hba.conf");
    fputs("local all all trust\n"
          "host all pwuser 127.0.0.1/32 scram-sha-256\n"
          "host all all 127.0.0.1/32 trust\n",
          file);
    fclose(file);
}

static inline bool pg_server_answers(const struct pg_server *s)
{
    PGconn *c = PQconnectdb(s->dsn);
    bool ok = PQstatus(c) == CONNECTION_OK;
    PQfinish(c);
    return ok;
}

// False when the server ended by itself: somebody else has the port.
static inline bool pg_server_launch(struct pg_server *s)
{
    char program[160], data[96], port[16];
    snprintf(program, sizeof(program), "%s/postgres", s->bin);
    snprintf(data, sizeof(data), "%s/data", s->dir);
    snprintf(port, sizeof(port), "%d", s->port);
    char *argv[] = {program,
                    "-D",
                    data,
                    "-k",
                    s->dir,
                    "-p",
                    port,
                    "-F",
                    "-clisten_addresses=127.0.0.1",
                    "-cmax_connections=50",
                    "-cshared_buffers=16MB",
                    "-cautovacuum=off",
                    "-cclient_min_messages=warning",
                    NULL};
    s->pid = pg_server_spawn(s, argv);
    for (int i = 0; i < PATIENCE_S * 100 && !pg_server_answers(s); i++) {
        if (waitpid(s->pid, NULL, WNOHANG) == s->pid) {
            s->pid = 0;
            return false;
        }
        pg_server_pause();
    }
    if (!pg_server_answers(s))
        pg_server_die(s, "the server does not answer");
    return true;
}

static inline void pg_server_end(struct pg_server *s, int sig)
{
    if (s->pid == 0)
        return;
    kill(s->pid, sig);
    for (int i = 0; waitpid(s->pid, NULL, WNOHANG) == 0; i++) {
        if (i == PATIENCE_S * 100)
            kill(s->pid, SIGKILL);
        pg_server_pause();
    }
    s->pid = 0;
}

static PG_SERVER_UNUSED struct pg_server *pg_server_start(void)
{
    struct pg_server *s = calloc(1, sizeof(*s));
    snprintf(s->dir, sizeof(s->dir), "/tmp/cxsink-pg-XXXXXX");
    if (mkdtemp(s->dir) == NULL)
        abort();
    struct passwd *user = geteuid() == 0 ? getpwnam("postgres") : NULL;
    if (geteuid() == 0 && user == NULL)
        pg_server_die(s, "PostgreSQL refuses root, and there is no user postgres");
    if (user != NULL) {
        s->uid = user->pw_uid;
        s->gid = user->pw_gid;
        if (chown(s->dir, s->uid, s->gid) != 0)
            abort();
    }
    pg_server_find(s);
    pg_server_initdb(s);
    for (int i = 0; i < 10 && s->pid == 0; i++) {
        s->port = pg_server_free_port();
        snprintf(s->dsn, sizeof(s->dsn), "host=%s port=%d user=postgres dbname=postgres", s->dir,
                 s->port);
        pg_server_launch(s);
    }
    if (s->pid == 0)
        pg_server_die(s, "the server does not start");
    return s;
}

// Over the unix socket, as the superuser.
static PG_SERVER_UNUSED const char *pg_server_dsn(struct pg_server *s)
{
    return s->dsn;
}

// On 127.0.0.1.
static PG_SERVER_UNUSED int pg_server_port(struct pg_server *s)
{
    return s->port;
}

// As pg_ctl -m immediate: a crash. pg_server_restart() brings it up again with the same data.
static PG_SERVER_UNUSED void pg_server_kill_immediate(struct pg_server *s)
{
    pg_server_end(s, SIGQUIT);
}

static PG_SERVER_UNUSED void pg_server_restart(struct pg_server *s)
{
    pg_server_end(s, SIGINT);
    if (!pg_server_launch(s))
        pg_server_die(s, "the server does not start again");
}

static inline int pg_server_remove(const char *path, const struct stat *st, int type,
                                   struct FTW *place)
{
    (void)st;
    (void)type;
    (void)place;
    return remove(path);
}

static PG_SERVER_UNUSED void pg_server_stop(struct pg_server **pointer)
{
    struct pg_server *s = *pointer;
    if (s == NULL)
        return;
    *pointer = NULL;
    pg_server_end(s, SIGINT);
    nftw(s->dir, pg_server_remove, 16, FTW_DEPTH | FTW_PHYS);
    free(s);
}

static inline char *pg_server_format(const PGresult *result)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    for (int row = 0; row < PQntuples(result); row++) {
        for (int column = 0; column < PQnfields(result); column++)
            fprintf(out, "%s%s", column > 0 ? "|" : "", PQgetvalue(result, row, column));
        fputs(row + 1 < PQntuples(result) ? "\n" : "", out);
    }
    fclose(out);
    return text;
}

// Runs a script as `dsn` says and returns the last result as psql -At would, without the last line
// feed; "ERROR SQLSTATE" when it failed (and the message on stderr). Free it.
static PG_SERVER_UNUSED char *pg_server_query_as(const char *dsn, const char *sql)
{
    PGconn *c = PQconnectdb(dsn);
    PGresult *result = PQexec(c, sql);
    ExecStatusType status = PQresultStatus(result);
    char *text;
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY) {
        text = pg_server_format(result);
    } else {
        const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        fprintf(stderr, "pg_server: %s", PQerrorMessage(c));
        text = malloc(32);
        snprintf(text, 32, "ERROR %s", sqlstate != NULL ? sqlstate : "");
    }
    PQclear(result);
    PQfinish(c);
    return text;
}

static PG_SERVER_UNUSED char *pg_server_query(struct pg_server *s, const char *sql)
{
    return pg_server_query_as(s->dsn, sql);
}

#endif
