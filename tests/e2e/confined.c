/*
 * confined CONFIG FOLDER ATTEMPT...: do as the agent does before it starts, with
 * FOLDER as its own, then make attempts; with "-" as CONFIG, as it does before it reads
 * a capture file. Prints each with what came of it: "done", or the name of the error.
 * Attempts are words with a colon:
 *
 *     read:FILE  write:FILE  truncate:FILE  empty:FILE  chmod:FILE  execute:FILE  list:FOLDER
 *     rename:FILE (to FILE.new)  remove:FILE  make:FILE
 *     socket:FAMILY,TYPE,PROTOCOL   in numbers
 *     lookup:HOST
 *     clone:FLAGS                   0: no more than fork(2) does
 *     signal:PROCESS  ask:PROCESS (to be signalled for us)  limit:PROCESS   0: itself
 *     call:NUMBER                   any system call, without arguments
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "app/confinement.h"
#include "app/settings.h"
#include "base/log.h"

static int try_open(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    return fd;
}

static int try_read(const char *path)
{
    return try_open(path, O_RDONLY);
}

static int try_write(const char *path)
{
    return try_open(path, O_WRONLY);
}

static int try_make(const char *path)
{
    return try_open(path, O_WRONLY | O_CREAT | O_EXCL);
}

static int try_list(const char *path)
{
    return try_open(path, O_RDONLY | O_DIRECTORY);
}

static int try_truncate(const char *path)
{
    return truncate(path, 0);
}

/* Who may read it may do this, unless it is forbidden. */
static int try_empty(const char *path)
{
    return try_open(path, O_RDONLY | O_TRUNC);
}

static int try_chmod(const char *path)
{
    return chmod(path, 0666);
}

static int try_execute(const char *path)
{
    return execl(path, path, (char *)NULL);
}

static int try_rename(const char *path)
{
    char to[4096];
    snprintf(to, sizeof(to), "%s.new", path);
    return rename(path, to);
}

static int try_socket(const char *numbers)
{
    int family, type, protocol;
    if (sscanf(numbers, "%d,%d,%d", &family, &type, &protocol) != 3)
        abort();
    int fd = socket(family, type | SOCK_CLOEXEC, protocol);
    if (fd >= 0)
        close(fd);
    return fd;
}

static int try_lookup(const char *host)
{
    struct addrinfo *list;
    if (getaddrinfo(host, "8125", NULL, &list) != 0)
        return -1;
    freeaddrinfo(list);
    return 0;
}

/* A process, by the flags of clone(2). */
static int try_clone(const char *flags)
{
    long child = syscall(SYS_clone, strtoul(flags, NULL, 0) | SIGCHLD, 0L, 0L, 0L, 0L);
    if (child == 0)
        _exit(0);
    return child < 0 ? -1 : 0;
}

static int process(const char *number)
{
    return atoi(number) ? atoi(number) : getpid();
}

static int try_signal(const char *number)
{
    return (int)syscall(SYS_tgkill, process(number), process(number), 0);
}

static int try_ask(const char *number)
{
    return fcntl(STDIN_FILENO, F_SETOWN, process(number));
}

static int try_limit(const char *number)
{
    struct rlimit limit;
    return prlimit(atoi(number), RLIMIT_CORE, NULL, &limit);
}

static int try_call(const char *number)
{
    return (int)syscall(atol(number), 0L, 0L, 0L, 0L, 0L, 0L);
}

static const struct attempt {
    const char *name;
    int (*make)(const char *what);
} attempts[] = {
    {"read:", try_read},     {"write:", try_write},   {"truncate:", try_truncate},
    {"chmod:", try_chmod},   {"list:", try_list},     {"execute:", try_execute},
    {"rename:", try_rename}, {"remove:", unlink},     {"make:", try_make},
    {"socket:", try_socket}, {"lookup:", try_lookup}, {"call:", try_call},
    {"empty:", try_empty},   {"clone:", try_clone},   {"signal:", try_signal},
    {"ask:", try_ask},       {"limit:", try_limit},
};

static void make_attempt(const char *words)
{
    for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
        size_t size = strlen(attempts[i].name);
        if (strncmp(words, attempts[i].name, size) != 0)
            continue;
        int r = attempts[i].make(words + size);
        printf("%s %s\n", words, r < 0 ? strerrorname_np(errno) : "done");
        return;
    }
    abort();
}

static int enter(const char *config, const char *folder)
{
    AUTO(text_deinit) struct text problem = {0};
    AUTO(settings_free) struct settings *s = NULL;
    struct identity who;
    int error = settings_load(&s, config, &problem);
    if (error == 0)
        error = identity_choose(&who, s->user.name);
    if (error < 0)
        return error;
    return confinement_enter(&(struct confinement_options){
        .config = config,
        .outputs = &s->outputs,
        .writable = (const char *const[]){folder, NULL},
        .who = &who,
    });
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return EXIT_FAILURE;
    log_set_level(LOG_LEVEL_DEBUG);
    bool reads = strcmp(argv[1], "-") == 0;
    if ((reads ? confinement_enter_reading() : enter(argv[1], argv[2])) < 0)
        return EXIT_FAILURE;
    for (int i = 3; i < argc; i++)
        make_attempt(argv[i]);
    return EXIT_SUCCESS;
}
