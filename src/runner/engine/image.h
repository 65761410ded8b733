#pragma once

#include "runner/runtime/runtime.h"

/* The operations of runtime.h. */
int engine_image_find(struct runtime *r, const char *image, struct runtime_image *out, struct error **err);
int engine_image_pull(struct runtime *r, const struct runtime_pull *pull,
                      int (*progress)(void *arg, const struct runtime_progress *p), void *arg, struct error **err);
int engine_image_list(struct runtime *r, struct runtime_named_image **out, size_t *n, struct error **err);
int engine_image_remove(struct runtime *r, const char *image, struct error **err);
int engine_image_load(struct runtime *r, int file, int (*progress)(void *arg, const struct runtime_progress *p),
                      void (*loaded)(void *arg, const char *name), void *arg, struct error **err);
int engine_image_save(struct runtime *r, const char *image, int file,
                      int (*progress)(void *arg, const struct runtime_progress *p), void *arg, struct error **err);
/* «sha256:…», however the engine writes it. The caller frees; NULL for what is none. */
char *engine_image_id(const char *said);
