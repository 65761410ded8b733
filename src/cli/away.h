#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Answers in the place of a server that cannot start: its sockets outlive it, so that requests would wait in their
 * queues without an end. Whoever connects is told 503 with the reason, in the API's own form, until `until_us`
 * (clock_monotonic_us) or until `stop_fd` can be read. Nothing of a request is looked at.
 */
void away_answer(const int *listeners, size_t n, const char *reason, int stop_fd, int64_t until_us);
