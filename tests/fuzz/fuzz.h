#pragma once

#include <stddef.h>
#include <stdint.h>

/* One input of a target; fuzz.c measures what it costs. */
void fuzz_one(const uint8_t *data, size_t size);
