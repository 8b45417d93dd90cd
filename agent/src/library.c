#include "library.h"

static library_attempt *new_attempt(library *l, const char *name, const char *route) {
    if (l->attempt_count == LIBRARY_MAX_ATTEMPTS) return NULL;
    library_attempt *a = &l->attempts[l->attempt_count++];
    *a = (library_attempt){.name = name, .route = route};
    return a;
}

static bool finish(library *l, library_attempt *a, void *handle, const char *error) {
    a->opened = handle != NULL;
    if (!handle) {
        snprintf(a->error, sizeof a->error, "%s", error ? error : "no handle was returned and no reason given");
        return false;
    }
    l->handle = handle;
    l->name = a->name;
    l->route = a->route;
    return true;
}

bool library_dlopen(library *l, const char *name) {
    library_attempt *a = new_attempt(l, name, "dlopen");
    if (!a) return false;
    void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    return finish(l, a, handle, handle ? NULL : dlerror());
}

bool library_sphal(library *l, const char *name) {
    typedef void *load_fn(const char *, int);
    library_attempt *a = new_attempt(l, name, "sphal");
    if (!a) return false;
    load_fn *load = (load_fn *)dlsym(RTLD_DEFAULT, "android_load_sphal_library");
    if (!load) {
        void *support = dlopen("libvndksupport.so", RTLD_NOW | RTLD_LOCAL);
        if (!support) return finish(l, a, NULL, dlerror());
        load = (load_fn *)dlsym(support, "android_load_sphal_library");
        if (!load) return finish(l, a, NULL, "libvndksupport.so has no android_load_sphal_library");
    }
    dlerror(); /* what the look-ups above left behind is no reason of this library */
    void *handle = load(name, RTLD_NOW | RTLD_LOCAL);
    if (handle) return finish(l, a, handle, NULL);
    /* Android 14's reads dlerror itself, for the system log, and leaves none. */
    const char *error = dlerror();
    return finish(l, a, NULL,
                  error ? error
                        : "android_load_sphal_library returned no handle and gave no reason (it goes to the "
                          "phone's log, tag vndksupport)");
}

void library_json(json *j, const library *l) {
    json_open(j, "attempts", '[');
    for (int i = 0; i < l->attempt_count; i++) {
        const library_attempt *a = &l->attempts[i];
        json_open(j, NULL, '{');
        json_string(j, "name", a->name);
        json_string(j, "route", a->route);
        json_bool(j, "opened", a->opened);
        json_string(j, "error", a->opened ? NULL : a->error);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_string(j, "library", l->handle ? l->name : NULL);
    json_string(j, "route", l->handle ? l->route : NULL);
}
