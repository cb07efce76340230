#include "app/interrupt.h"

#include <errno.h>
#include <signal.h>

/* A signal handler reaches nothing but globals. */
static volatile sig_atomic_t seen;
static uv_async_t *volatile wake_handle;

static void on_signal(int signal_number)
{
    (void)signal_number;
    int saved = errno;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    seen = 1;
    if (wake_handle)
        uv_async_send(wake_handle); /* safe here, says libuv */
    errno = saved;
}

void interrupt_catch(uv_async_t *wake)
{
    wake_handle = wake;
    /* No SA_RESTART: a read of a pipe that is idle has to end. */
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool interrupt_seen(void)
{
    return seen;
}

void interrupt_release(void)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    wake_handle = NULL;
}
