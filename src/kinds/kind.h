#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"

/*
 * A kind as data: what its CustomResourceDefinition file says (apiextensions.k8s.io/v1, one version), with extension
 * keys of ours. In the schema:
 *
 *   x-open-hydra-write-only: true    a string that is taken out of what clients send before anything is stored, logged
 *                                    or shown
 *   x-open-hydra-output-only: true   ignored in what clients send, kept from the present object (old output fields in
 *                                    spec)
 *   x-open-hydra-immutable: true     may not change once the object exists (422 that says: delete and create)
 *   x-open-hydra-lines: true         a string that may hold line feeds and tabs. All others are one line; none holds
 *                                    anything that steers a terminal (base/text.h)
 *   x-open-hydra-max-bytes: N        how large the JSON of a field may be
 *
 * The first three below object properties only: their paths are keys joined by dots. Beside `names`, in spec:
 *
 *   x-open-hydra-owner: PATH         names the user to whom an object belongs: spec.openHydraUsername
 *   x-open-hydra-name: label         names are DNS labels, not subdomains
 *   x-open-hydra-name-text: PATH     where an object is created with any text as its name, or asked for by it, it is one
 *                                    that is made of the text (server/model/text_name.h), which goes into that field:
 *                                    spec.folder
 *   x-open-hydra-max-bytes: N        how large an object may be (its JSON, without the status), …
 *   x-open-hydra-owner-max-bytes: N  … and one that is written by who reaches own objects alone; KIND_MAX_BYTES where
 *                                    left out
 *   x-open-hydra-subresources: […]   what an object has beside its status, each with {name, verbs} and, where they
 *                                    differ from the default, {kind, private, maxBytes, streams, forms, resumes,
 *                                    creates}: struct
 *                                    kind_subresource. Who answers them is code (server/api/hooks.h), found by the name
 *   x-open-hydra-namespace: NAME     with scope Namespaced: the only namespace that there is of it
 *   x-open-hydra-log: {…}            maxEvents, maxAgeSeconds: what of this kind watches can resume from, where that is
 *                                    to be less than the store keeps of all: of what is written all the time, so that
 *                                    it does not push out the others' events
 */
struct schema_node;

#define KIND_MAX_BYTES ((size_t)3 << 20)
#define KIND_SUBRESOURCE_MAX_BYTES ((size_t)64 << 10)

struct kind_column {
    const char *name, *type, *format, *description;
    const char *json_path; /* ".spec.role": a leading dot, then keys; as in additionalPrinterColumns */
    int priority;
};

/* What a client calls as OBJECT/NAME. */
struct kind_subresource {
    const char *name;
    const char *kind;         /* of its bodies, for discovery: "DeviceTicket"; NULL: the object's own */
    const char *const *verbs; /* get (GET), create (POST), update (PUT), patch, delete; NULL-terminated */
    bool private;             /* left out of discovery and OpenAPI */
    size_t max_bytes;         /* of a body that is sent; KIND_SUBRESOURCE_MAX_BYTES where left out */
    bool streams;             /* such a body is handed on as it comes, and held nowhere */
    bool forms;   /* a form (multipart/form-data) that is sent to the collection or the object is meant for it */
    bool resumes; /* what tus says in headers is told to it */
    bool creates; /* «create» is asked of the collection, and of names that nothing has yet, as well */
};

/* 0: as much as the store keeps of all. */
struct kind_log {
    size_t max_events;
    unsigned max_age_seconds;
};

struct kind {
    const char *group, *version;       /* "open-hydra-server.openhydra.io", "v1"; "": the core group */
    const char *api_version;           /* "group/version", "v1" */
    const char *path;                  /* "/apis/group/version", "/api/v1" */
    const char *namespace;             /* in which all its objects are; NULL: its objects belong to none */
    const char *plural, *singular;     /* "devices", "device" */
    const char *kind, *list_kind;      /* "Device", "DeviceList" */
    const char *full_name, *full_kind; /* in messages: "devices.open-hydra-server.openhydra.io", "configmaps" */
    const char **short_names;          /* NULL-terminated */
    const char **categories;           /* NULL-terminated */
    const char *owner;                 /* path or NULL */
    const char *name_text;             /* path or NULL */
    bool has_status;                   /* subresource /status */
    bool name_is_label;                /* metadata.name is a DNS label */
    size_t max_bytes, owner_max_bytes; /* of an object's JSON without its status */
    yyjson_val *schema;                /* openAPIV3Schema */
    const struct schema_node *root;    /* the same, compiled (schema_node.h) */
    const struct kind_column *columns;
    size_t columns_len;
    const struct kind_subresource *subresources;
    size_t subresources_len;
    const char **selectable; /* paths for field selectors beside metadata.name (selectableFields), NULL-terminated */
    struct kind_log log;
    const char **write_only; /* paths, NULL-terminated */
    const char **output_only;
    const char **immutable;
    yyjson_doc *document; /* owns the strings above … */
    struct arena *arena;  /* … and this the arrays and the compiled schema */
};

/* Reads a definition; `source` names it in errors. Structural-schema rules that we rely on are checked here. */
struct kind *kind_load(struct str yaml, const char *source, struct error **err) _must_check_;
void kind_free(struct kind *k);

/* NULL: none of that name. */
const struct kind_subresource *kind_subresource(const struct kind *k, const char *name);
bool kind_subresource_has(const struct kind_subresource *s, const char *verb);

/* The definitions embedded at build from src/kinds/NAME.yaml. */
struct kind_source {
    const char *name;
    struct str yaml;
};
extern const struct kind_source kind_sources[];
extern const size_t kind_sources_len;
