#pragma once

#include <stdbool.h>

#include "kinds/kind.h"

/*
 * Names of objects are small letters, digits, '-' and '.'; what people call a thing is «深度学习 1». Where a kind says so
 * (kind.name_text), a name is made of such a text: what it has of letters and digits, and ten digits of its SHA-256. So the
 * same text is always the same name, in a path, a form or a manifest, and nobody has to look it up.
 */

/* Not a name as it is, and something that a folder can be called: no slash, no dot at its begin, 255 bytes at most, nothing
 * that steers a terminal. */
bool text_name_is_text(const char *name);
/* `singular`: of the kind. The caller frees. */
char *text_name_make(const char *singular, const char *text);
/* Where metadata.name is such a text: puts the name there, and the text into the kind's field where that is empty. */
void text_name_replace(const struct kind *k, yyjson_mut_doc *doc, yyjson_mut_val *object);
