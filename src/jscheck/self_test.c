// SPDX-License-Identifier: Apache-2.0
#include "core/buf.h"
#include "jscheck.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

// Each returns 0 when it worked, else an errno.

static int try_open(void)
{
    return open("/etc/passwd", O_RDONLY) >= 0 ? 0 : errno;
}

static int try_create(void)
{
    return open("/tmp", O_TMPFILE | O_WRONLY, 0600) >= 0 ? 0 : errno;
}

static int try_unlink(void)
{
    return unlink("/nonexistent/x") == 0 ? 0 : errno;
}

static int try_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 0 : errno;
}

static int try_socketpair(void)
{
    int pair[2];
    return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 ? 0 : errno;
}

static int try_fork(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return pid > 0 ? 0 : errno;
}

static void *nothing(void *argument)
{
    return argument;
}

static int try_thread(void)
{
    pthread_t thread;
    return pthread_create(&thread, NULL, nothing, NULL);
}

static int try_exec(void)
{
    char *argv[] = {"true", NULL};
    char *envp[] = {NULL};
    execve("/bin/true", argv, envp);
    return errno;
}

static int try_kill(void)
{
    return kill(1, 0) == 0 ? 0 : errno;
}

static int try_ptrace(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : errno;
}

static int try_executable_memory(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p != MAP_FAILED ? 0 : errno;
}

static int try_make_executable(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p != MAP_FAILED && mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0 ? 0 : errno;
}

static int try_limits(void)
{
    struct rlimit core = {0, 0};
    return setrlimit(RLIMIT_CORE, &core) == 0 ? 0 : errno;
}

static const struct {
    const char *name;
    int (*attempt)(void);
} attempts[] = {
    {"open", try_open},
    {"create", try_create},
    {"unlink", try_unlink},
    {"socket", try_socket},
    {"socketpair", try_socketpair},
    {"fork", try_fork},
    {"thread", try_thread},
    {"exec", try_exec},
    {"kill", try_kill},
    {"ptrace", try_ptrace},
    {"executable_memory", try_executable_memory},
    {"make_executable", try_make_executable},
    {"limits", try_limits},
};

bool self_test(void)
{
    struct buf line = {0};
    bool refused = true;
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
        int error = attempts[i].attempt();
        refused = refused && error == EPERM;
        buf_printf(&line, "%c\"%s\":\"%s\"", i == 0 ? '{' : ',', attempts[i].name,
                   error == 0 ? "done" : strerrorname_np(error));
    }
    buf_append_text(&line, "}\n");
    return write(STDOUT_FILENO, line.data, line.len) == (ssize_t)line.len && refused;
}
