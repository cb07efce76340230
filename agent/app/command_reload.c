#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "app/command.h"
#include "base/log.h"

enum { NAME_BYTES_MAX = 32 }; /* of a process, with its line feed */

/* Whether @c, unless NULL, is now connected to @pid at @path; else @why says why not. */
static bool find(struct control_client **c, const char *path, pid_t pid, struct text *why)
{
    int error = path ? control_client_open(c, path) : 0;
    if (!path)
        text_add_string(why, "the config switches the control socket off");
    else if (error < 0)
        control_client_describe(why, path, error);
    else if (control_client_peer(*c) != pid)
        text_printf(why, "%s: another process listens there", path);
    else
        return true;
    return false;
}

/* The name that process @pid goes by; empty if none can be told. */
static void read_name(pid_t pid, char name[static NAME_BYTES_MAX])
{
    char path[32];
    snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
    *name = '\0';
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    if (!fgets(name, NAME_BYTES_MAX, file))
        *name = '\0';
    fclose(file);
}

/* As far as can be told: where /proc hides it, it is the agent's by its right to signal it. */
static bool is_other_program(pid_t pid)
{
    char name[NAME_BYTES_MAX], ours[NAME_BYTES_MAX];
    read_name(pid, name);
    read_name(getpid(), ours);
    return *name && strcmp(name, ours) != 0;
}

/* By a descriptor: once it is open, the number can't become another process's. */
static int send_hup(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return -errno;
    int error = 0;
    if (is_other_program(pid))
        error = -ENOEXEC;
    else if (syscall(SYS_pidfd_send_signal, fd, SIGHUP, NULL, 0) < 0)
        error = -errno;
    close(fd);
    return error;
}

static int hang_up(pid_t pid, struct text *why)
{
    const char *words = text_failed(why) ? strerror(ENOMEM) : why->data;
    int error = send_hup(pid);
    if (error < 0) {
        log_error("%s; and process %d: %s", words, (int)pid,
                  error == -ENOEXEC ? "is no httpacct" : strerror(-error));
        return EXIT_FAILURE;
    }
    log_warning("%s; process %d got SIGHUP: its log says what comes of it", words, (int)pid);
    return EXIT_SUCCESS;
}

static int ask(struct control_client *c, const char *path)
{
    AUTO(json_decref) json_t *reply = command_ask(c, path, "{\"do\":\"reload\"}", NULL);
    if (!reply)
        return EXIT_FAILURE;

    struct text t = {0};
    size_t at;
    const json_t *line;
    json_array_foreach(json_object_get(reply, "said"), at, line)
    {
        if (!json_is_string(line))
            continue;
        text_add_printable(&t, bytes_from_string(json_string_value(line)));
        text_add_char(&t, '\n');
    }
    text_add_string(&t, "the config was read anew\n");
    return command_print(&t);
}

int command_reload(const char *path, pid_t pid)
{
    AUTO(control_client_close) struct control_client *c = NULL;
    AUTO(text_deinit) struct text why = {0};
    if (pid)
        return find(&c, path, pid, &why) ? ask(c, path) : hang_up(pid, &why);
    c = command_connect(path);
    return c ? ask(c, path) : EXIT_FAILURE;
}
