#include "app/service_manager.h"

bool service_manager_listens(void)
{
    return false;
}

uint64_t service_manager_watchdog_ns(void)
{
    return 0;
}

void service_manager_starting(uint64_t patience_ns)
{
    (void)patience_ns;
}

void service_manager_ready(void)
{
}

void service_manager_reloading(void)
{
}

void service_manager_stopping(void)
{
}

void service_manager_alive(void)
{
}

void service_manager_status(const char *line)
{
    (void)line;
}
