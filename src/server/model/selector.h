#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"
#include "kinds/kind.h"

/* labelSelector=a=b,c!=d,e in (x,y),f notin (z),g,!h. BadRequest with Kubernetes' words. Text of at most SELECTOR_MAX
 * bytes. */
#define SELECTOR_MAX 8192

struct selector;
/* In the arena. "" and NULL: *out becomes NULL, which matches everything. */
int selector_parse(struct arena *a, const char *text, const struct selector **out, struct error **err) _must_check_;
/* Against metadata.labels. */
bool selector_matches(const struct selector *s, yyjson_val *object);

/* fieldSelector with =, == and != on metadata.name and what the kind's definition makes selectable. Anything else is
 * BadRequest («field label not supported»). */
struct field_selector;
int field_selector_parse(struct arena *a, const struct kind *k, const char *text, const struct field_selector **out,
                         struct error **err) _must_check_;
/* `object` may be NULL where the selector does not read it. */
bool field_selector_matches(const struct field_selector *s, const char *name, yyjson_val *object);
bool field_selector_reads_object(const struct field_selector *s);
/* The one name that can match at all, or NULL: then a list need not be walked. */
const char *field_selector_name(const struct field_selector *s);
