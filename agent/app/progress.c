#include "app/progress.h"

#include <stdio.h>
#include <unistd.h>
#include <uv.h>

static const uint64_t FIRST_NS = 1000000000;
static const uint64_t AGAIN_NS = 200000000;

void progress_init(struct progress *p, bool wanted)
{
    *p = (struct progress){
        .enabled = wanted && isatty(STDERR_FILENO),
        .started_ns = uv_hrtime(),
    };
    p->due_ns = p->started_ns + FIRST_NS;
}

void progress_step(struct progress *p, uint64_t packets, uint64_t done, uint64_t size)
{
    if (!p->enabled)
        return;
    uint64_t now_ns = uv_hrtime();
    if (now_ns < p->due_ns)
        return;
    p->due_ns = now_ns + AGAIN_NS;
    p->shown = true;

    double seconds = (double)(now_ns - p->started_ns) / 1e9;
    double millions = (double)packets / 1e6;
    if (size)
        fprintf(stderr, "\r%3.0f %%, ", 100.0 * (double)done / (double)size);
    else
        fputc('\r', stderr);
    fprintf(stderr, "%.1f M packets, %.1f M packets/s\033[K", millions, millions / seconds);
}

void progress_end(struct progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
}
