/*
 * libuv starts all threads of the pool with the first work, from the thread that
 * has it. So a thread that has given up its capabilities brings some.
 */
#include "io/thread_pool.h"

#include <uv.h>

#include "io/privileges.h"

static void do_nothing(uv_work_t *work)
{
    (void)work;
}

static int bring_work(void)
{
    uv_loop_t loop;
    uv_work_t work;
    int error = uv_loop_init(&loop);
    if (error < 0)
        return error;
    error = uv_queue_work(&loop, &work, do_nothing, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    return error;
}

static void run(void *result)
{
    privileges_give_up_all();
    *(int *)result = bring_work();
}

int thread_pool_start(void)
{
    int result;
    uv_thread_t thread;
    int error = uv_thread_create(&thread, run, &result);
    if (error < 0)
        return error;
    uv_thread_join(&thread);
    return result;
}
