#pragma once

#include "base/json.h"
#include "runner/environment/images.h"

/* What a sandbox's status says of its images. */
struct sandbox_report {
    struct {
        struct sandbox_image named;
        struct image_state state;
    } images[SANDBOX_IMAGES_MAX];
    size_t len;
};
void sandbox_report_clear(struct sandbox_report *r);
/* Whether the object's status says something else. */
bool sandbox_report_differs(const struct sandbox_report *r, yyjson_val *object);
/* As client_fill; `report` is the struct sandbox_report. */
void sandbox_report_fill(yyjson_val *object, yyjson_mut_doc *doc, yyjson_mut_val *status, void *report);
