/*
 * uthash as our tables use it: memory that is short is an outcome, not the end,
 * and chains are short, as each step along one is a miss of the cache. Included
 * instead of uthash.h. An element that could not be added has hh.tbl NULL.
 */
#pragma once

#define HASH_NONFATAL_OOM 1
#include <utlist.h>
#include <uthash.h>

/* The table is doubled when a chain is that long: by then it has a few places for each element. */
#undef HASH_BKT_CAPACITY_THRESH
#define HASH_BKT_CAPACITY_THRESH 6U
