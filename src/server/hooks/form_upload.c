#include "server/hooks/form_upload.h"

#include "base/alloc.h"
#include "base/encoding.h"
#include "base/random.h"
#include "base/text.h"
#include "base/thread.h"
#include "server/content/form.h"
#include "server/hooks/intake.h"
#include "server/hooks/objects.h"
#include "server/model/text_name.h"

#define FIELD_MAX ((size_t)16 << 10)
#define ID_BYTES 16
#define DESCRIPTION_MAX 4096 /* characters; as in src/kinds/dataset.yaml */

/* Fields of the form that say something of the object. `plural` NULL: of both kinds. */
static const struct form_field {
    const char *name, *plural;
    bool is_number;
} form_fields[] = {
    {"description", NULL, false},
    {"createdBy", PLURAL_COURSES, false},
    {"level", PLURAL_COURSES, true},
    {"sandboxName", PLURAL_COURSES, false},
};

struct form_upload {
    struct content *content;
    struct request *request;
    struct library *library;
    bool creates;
    char *name, *uid; /* of the object; of a new one as soon as they are known */
    char *folder;     /* what it is called where users see it; NULL: not known yet */
    char id[2 * ID_BYTES + 1];
    struct intake intake;
    struct upload *upload;
    yyjson_mut_doc *doc;
    yyjson_mut_val *object, *spec;
    bool in_file, described;
    char *field; /* whose value comes now; NULL: nobody wants it */
    struct buffer value;
    /* What the publisher says. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool published;
    struct error *failed;
};

/* --- Fields --- */

static const struct form_field *find_field(const struct form_upload *f, const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(form_fields); i++)
        if (streq(form_fields[i].name, name) &&
            (form_fields[i].plural == NULL || streq(form_fields[i].plural, f->library->plural)))
            return &form_fields[i];
    return NULL;
}

static int set_number(struct form_upload *f, const char *name, struct error **err)
{
    struct str text = str_trim(buffer_str(&f->value));
    unsigned long long n;

    if (text.n == 0)
        return 0;
    if (str_to_u64(text, INT32_MAX, &n) < 0)
        return error_set(err, REASON_BAD_REQUEST, "Failed to parse %s: \"%.*s\" is no whole number", name, (int)text.n,
                         text.p);
    json_mut_set_int(f->doc, f->spec, name, (int64_t)n);
    return 0;
}

/* Browsers end the lines of a text with CR LF. */
static void drop_returns(struct buffer *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->n; i++)
        if (b->p[i] != '\r')
            b->p[n++] = b->p[i];
    b->n = n;
    if (b->p)
        b->p[n] = '\0';
}

static size_t count_characters(struct str s)
{
    size_t count = 0;

    for (size_t n; s.n && (n = text_character(s)); count++)
        s = (struct str){s.p + n, s.n - n};
    return count;
}

/* What is not created goes through no schema. */
static int check_description(struct str value, struct error **err)
{
    if (count_characters(value) <= DESCRIPTION_MAX)
        return 0;
    return error_add_cause(err, "spec.description", "FieldValueInvalid", "may not be longer than %d", DESCRIPTION_MAX);
}

/* Any text that can be a folder's name is one of an object, too. */
static void take_name(struct form_upload *f, struct str value)
{
    const struct kind *k = request_operation(f->request)->kind;

    free(f->name);
    free(f->folder);
    f->folder = xstrndup(value.p, value.n);
    bool is_text = text_name_is_text(f->folder);
    f->name = is_text ? text_name_make(k->singular, f->folder) : xstrdup(f->folder);
    json_mut_set_str(f->doc, f->spec, "folder", is_text ? f->folder : NULL);
}

static int take_field(struct form_upload *f, struct error **err)
{
    const struct form_field *field = find_field(f, f->field);

    drop_returns(&f->value);
    struct str value = buffer_str(&f->value);
    if (f->value.overflow)
        return error_set(err, REASON_BAD_REQUEST, "the field %s is longer than %zu bytes", f->field, FIELD_MAX);
    if (!text_is_plain(value, "\n\t"))
        return error_set(err, REASON_BAD_REQUEST, "the field %s is no UTF-8, or holds control characters", f->field);
    if (streq(f->field, "name") && f->creates) {
        take_name(f, value);
        return 0;
    }
    if (field == NULL || (!f->creates && !streq(field->name, "description")))
        return 0;
    if (!f->creates && check_description(value, err) < 0)
        return -1;
    f->described = true;
    if (field->is_number)
        return set_number(f, field->name, err);
    json_mut_set_str(f->doc, f->spec, field->name, value.n ? value.p : NULL);
    return 0;
}

/* --- Parts --- */

static int check_name(const struct form_upload *f, struct error **err)
{
    bool course = streq(f->library->plural, PLURAL_COURSES);

    if (f->name && *f->name)
        return 0;
    return error_set(err, REASON_BAD_REQUEST, "%s name is empty", course ? "Course" : "Dataset");
}

/* Before gigabytes come, where the name comes first. */
static int check_free(const struct form_upload *f, struct error **err)
{
    if (!f->creates || f->name == NULL)
        return 0;
    _cleanup_object_ struct object *present = store_get(f->content->store, f->library->plural, str_from(f->name));
    if (present)
        return error_set(err, REASON_ALREADY_EXISTS, "%s \"%s\" already exists", f->library->plural, f->name);
    /* What is no name is refused when the object is made. */
    if (is_dns_subdomain(str_from(f->name)) && exchange_is_foreign(&f->library->shelf, f->folder))
        return error_set(err, REASON_ALREADY_EXISTS,
                         "%s/%s is there already, and was not uploaded: move it away, or choose another name",
                         f->library->path, f->folder);
    return 0;
}

static int begin_file(struct form_upload *f, const struct form_part *p, struct error **err)
{
    const struct upload_head head = {
        .id = f->id, .name = f->name, .uid = f->uid, .file_name = p->file_name, .length = UPLOAD_NO_LENGTH};

    if (f->upload)
        return error_set(err, REASON_BAD_REQUEST, "the form holds more than one file");
    if (check_free(f, err) < 0)
        return -1;
    f->upload = upload_begin(f->library, &head, err);
    return f->upload ? 0 : -1;
}

static int begin_part(void *arg, const struct form_part *p, struct error **err)
{
    struct form_upload *f = arg;

    free(f->field);
    f->field = NULL;
    f->in_file = streq(p->name, "file") && p->file_name;
    if (f->in_file)
        return begin_file(f, p, err);
    if (streq(p->name, "name") || find_field(f, p->name))
        f->field = xstrdup(p->name);
    buffer_clear(&f->value);
    return 0;
}

static int take_content(void *arg, const char *p, size_t n, struct error **err)
{
    struct form_upload *f = arg;

    if (f->in_file)
        return upload_write(f->upload, p, n, err);
    if (f->field)
        buffer_append(&f->value, p, n);
    return 0;
}

static int end_part(void *arg, struct error **err)
{
    struct form_upload *f = arg;

    return f->field ? take_field(f, err) : 0;
}

static const struct form_ops form_ops = {begin_part, take_content, end_part};

static int read_form(struct form_upload *f, struct error **err)
{
    _cleanup_form_ struct form *form = form_new(request_operation(f->request)->media_type, &form_ops, f, err);
    const char *p;

    if (form == NULL)
        return -1;
    intake_begin(&f->intake, f->request);
    for (size_t n; (n = intake_take(&f->intake, &p));)
        if (form_feed(form, p, n, err) < 0)
            return -1;
    return intake_result(&f->intake, err) < 0 ? -1 : form_finish(form, err);
}

/* --- The object --- */

static int create_object(struct store_txn *t, void *arg, struct error **err)
{
    struct form_upload *f = arg;
    const struct operation *op = request_operation(f->request);
    /* A try may be made again, and the creation changes what it is given. */
    _cleanup_json_ yyjson_doc *doc = yyjson_mut_val_imut_copy(f->object, NULL);

    if (api_create_in_txn(f->content->api, t, op->kind, yyjson_doc_get_root(doc), &op->who, err) < 0)
        return -1;
    struct object *made = txn_get(t, f->library->plural, str_from(f->name));
    free(f->uid);
    f->uid = xstrdup(made->uid);
    return 0;
}

static int describe_object(struct store_txn *t, void *arg, struct error **err)
{
    struct form_upload *f = arg;
    _cleanup_json_mut_ yyjson_mut_doc *doc = object_read_mutable(t, f->library->plural, f->name);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);

    if (doc == NULL || !streq(json_mut_str_at(root, "metadata.uid"), f->uid))
        return error_set(err, REASON_NOT_FOUND, "%s/%s was deleted meanwhile", f->library->plural, f->name);
    json_mut_set_str(doc, json_mut_make_obj(doc, root, "spec"), "description", json_mut_str_at(f->spec, "description"));
    object_write(t, f->library->plural, doc);
    return 0;
}

static int write_object(struct form_upload *f, struct error **err)
{
    if (!f->creates)
        return f->described ? store_run(f->content->store, describe_object, f, err) : 0;
    json_mut_set_str(f->doc, json_mut_make_obj(f->doc, f->object, "metadata"), "name", f->name);
    return store_run(f->content->store, create_object, f, err);
}

static int remove_object(struct store_txn *t, void *arg, struct error **err)
{
    const struct form_upload *f = arg;
    _cleanup_json_ yyjson_doc *doc = object_read(t, f->library->plural, f->name);

    if (streq(json_str_at(yyjson_doc_get_root(doc), "metadata.uid"), f->uid)) {
        txn_essential(t);
        object_remove(t, f->library->plural, f->name);
        publisher_remove_in_txn(f->content->publisher, t, f->library, f->folder, f->uid);
    }
    return 0;
}

/* --- Publishing --- */

static void on_published(void *arg, const struct error *err)
{
    struct form_upload *f = arg;
    LOCK_SCOPE(&f->lock);

    if (err)
        (void)(error_set(&f->failed, err->reason, "%s", err->message) < 0);
    f->published = true;
    pthread_cond_broadcast(&f->changed);
}

static int wait_for_publication(struct form_upload *f, struct error **err)
{
    LOCK_SCOPE(&f->lock);

    while (!f->published)
        pthread_cond_wait(&f->changed, &f->lock);
    if (f->failed == NULL)
        return 0;
    *err = steal_ptr(f->failed);
    return -1;
}

static int publish(struct form_upload *f, struct error **err)
{
    if (upload_finish(f->upload, f->name, f->uid, err) < 0)
        return -1;
    upload_close(steal_ptr(f->upload));
    publisher_publish(f->content->publisher, f->library, f->id, on_published, f);
    return wait_for_publication(f, err);
}

/* What did not come to be leaves no object behind; what was to be replaced is as it was. */
static int publish_or_undo(struct form_upload *f, struct error **err)
{
    if (publish(f, err) == 0)
        return 0;
    if (f->creates && (*err)->reason != REASON_SERVICE_UNAVAILABLE)
        (void)(store_run(f->content->store, remove_object, f, NULL) < 0);
    return -1;
}

static int store_form(struct form_upload *f, struct error **err)
{
    if (library_open(f->library, err) < 0 || read_form(f, err) < 0 || check_name(f, err) < 0)
        return -1;
    if (f->upload == NULL && (f->creates || !f->described))
        return error_set(err, REASON_BAD_REQUEST, "http: no such file: the form has no file in the field \"file\"");
    if (check_free(f, err) < 0 || (f->upload && upload_keep(f->upload, err) < 0) || write_object(f, err) < 0)
        return -1;
    return f->upload ? publish_or_undo(f, err) : 0;
}

/* --- The request --- */

static void answer(struct form_upload *f)
{
    _cleanup_object_ struct object *o = store_get(f->content->store, f->library->plural, str_from(f->name));
    struct error *err = NULL;

    if (o)
        return request_reply(f->request, f->creates ? 201 : 200, "application/json", o->json);
    (void)(error_set(&err, REASON_NOT_FOUND, "%s/%s was deleted meanwhile", f->library->plural, f->name) < 0);
    request_fail(f->request, err);
}

static void form_upload_free(struct form_upload *f)
{
    upload_close(f->upload);
    intake_free(&f->intake);
    buffer_free(&f->value);
    error_free(f->failed);
    yyjson_mut_doc_free(f->doc);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    free(f->field);
    free(f->name);
    free(f->folder);
    free(f->uid);
    free(f);
}

static void run_form_upload(void *arg)
{
    struct form_upload *f = arg;
    struct error *err = NULL;
    int rc = store_form(f, &err);

    /* Closed, so that nothing of it takes room while the rest of the body is dropped. */
    if (f->upload) {
        upload_close(steal_ptr(f->upload));
        (void)(upload_remove(f->library, f->id, NULL) < 0); /* the next start does */
    }
    intake_end(&f->intake);
    if (rc < 0)
        request_fail(f->request, err);
    else
        answer(f);
    form_upload_free(f);
}

static struct form_upload *form_upload_new(struct request *r, const struct object *object, struct content *content)
{
    struct form_upload *f = xcalloc(1, sizeof(*f));
    unsigned char id[ID_BYTES];

    random_bytes(id, sizeof(id));
    _cleanup_free_ char *text = hex_encode(id, sizeof(id));
    memcpy(f->id, text, sizeof(f->id));
    f->content = content;
    f->request = r;
    f->library = content_library(content, request_operation(r)->kind->plural);
    f->creates = object == NULL;
    f->name = object ? xstrdup(object->name) : NULL;
    f->uid = object ? xstrdup(object->uid) : NULL;
    f->value = BUFFER_MAX(FIELD_MAX);
    f->doc = yyjson_mut_doc_new(NULL);
    f->object = yyjson_mut_obj(f->doc);
    yyjson_mut_doc_set_root(f->doc, f->object);
    json_mut_set_str(f->doc, f->object, "apiVersion", request_operation(r)->kind->api_version);
    json_mut_set_str(f->doc, f->object, "kind", request_operation(r)->kind->kind);
    f->spec = json_mut_make_obj(f->doc, f->object, "spec");
    intake_init(&f->intake);
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    return f;
}

void form_upload(struct request *r, struct object *object, struct content *content)
{
    struct form_upload *f = form_upload_new(r, object, content);
    struct error *err = NULL;

    if (content_run(content, run_form_upload, f, &err) == 0)
        return;
    form_upload_free(f);
    request_fail(r, err);
}
