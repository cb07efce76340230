#include "io/sandbox.h"

#include "io/sandbox_calls.h"
#include "io/sandbox_files.h"

int sandbox_enter(const struct sandbox_options *options)
{
    int error = sandbox_limit_files(options->readable, options->writable);
    return error < 0 ? error : sandbox_limit_calls(options->tcp);
}

int sandbox_seal(void)
{
    int error = sandbox_close_files();
    return error < 0 ? error : sandbox_limit_calls_to_open();
}
