#include "app/service_manager.h"

#include <stdlib.h>
#include <systemd/sd-daemon.h>

bool service_manager_listens(void)
{
    return getenv("NOTIFY_SOCKET");
}

uint64_t service_manager_watchdog_ns(void)
{
    uint64_t interval_us;
    return sd_watchdog_enabled(0, &interval_us) > 0 ? interval_us * 1000 : 0;
}

void service_manager_starting(uint64_t patience_ns)
{
    sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%llu", (unsigned long long)patience_ns / 1000);
}

void service_manager_ready(void)
{
    sd_notify(0, "READY=1");
}

void service_manager_reloading(void)
{
    sd_notify(0, "RELOADING=1");
}

void service_manager_stopping(void)
{
    sd_notify(0, "STOPPING=1");
}

void service_manager_alive(void)
{
    sd_notify(0, "WATCHDOG=1");
}

void service_manager_status(const char *line)
{
    sd_notifyf(0, "STATUS=%s", line);
}
