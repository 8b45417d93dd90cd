#include "plan_parser.h"

static int find_kernel(const plan *plan, const char *name) {
    for (int i = 0; i < plan->kernel_count; i++)
        if (!strcmp(plan->kernels[i].name, name)) return i;
    return -1;
}

static bool parse_spec(parser *p, plan_kernel *k, char *text) {
    int64_t id, integer;
    char *value = text_cut(text, ':');
    if (k->spec_count == PLAN_MAX_OPTIONS)
        return parser_fail(p, "more than %d specialisation constants", PLAN_MAX_OPTIONS);
    plan_spec *s = &k->spec[k->spec_count];
    if (!value || !text_integer(text, 0, UINT32_MAX, &id)) return parser_fail(p, "spec is not ID:VALUE");
    if (value[0] == 'f') {
        double wide;
        if (!parser_real(p, "spec", value + 1, &wide)) return false;
        float narrow = (float)wide;
        memcpy(&s->value, &narrow, sizeof narrow);
    } else {
        if (!parser_integer(p, "spec", value, INT32_MIN, UINT32_MAX, &integer)) return false;
        s->value = (uint32_t)integer;
    }
    s->id = (uint32_t)id;
    for (int i = 0; i < k->spec_count; i++)
        if (k->spec[i].id == s->id) return parser_fail(p, "specialisation constant %u is set twice", s->id);
    k->spec_count++;
    return true;
}

static bool name_value(parser *p, const char *key, const char *value, const char **out) {
    *out = value;
    return text_is_name(value) || parser_fail(p, "%s=%.60s does not match [A-Za-z0-9_.-]{1,48}", key, value);
}

static bool parse_kernel(parser *p) {
    plan *plan = p->plan;
    if (!parser_grow(p, &plan->kernels, plan->kernel_count, &p->kernel_room, sizeof *plan->kernels, PLAN_MAX_KERNELS,
                     "kernels"))
        return false;
    plan_kernel *k = &plan->kernels[plan->kernel_count];
    *k = (plan_kernel){.entry = "main", .isa = "auto"};
    if (!parser_name(p, "kernel", &k->name)) return false;
    if (find_kernel(plan, k->name) >= 0) return parser_fail(p, "kernel %s is there already", k->name);
    int64_t n = 0;
    for (char *word; (word = parser_word(p));) {
        char *value = text_cut(word, '=');
        bool ok = true;
        if (!value) return parser_fail(p, "expected key=value, not \"%.60s\"", word);
        if (!strcmp(word, "file")) {
            ok = name_value(p, word, value, &k->file);
            /* A plain name in the current directory; no slash is a name's character already. */
            if (ok && value[0] == '.') ok = parser_fail(p, "file=%s is not a plain file name", value);
        } else if (!strcmp(word, "entry")) {
            ok = name_value(p, word, value, &k->entry);
        } else if (!strcmp(word, "routine")) {
            ok = name_value(p, word, value, &k->routine);
        } else if (!strcmp(word, "isa")) {
            ok = name_value(p, word, value, &k->isa);
        } else if (!strcmp(word, "opt")) {
            if (k->option_count == PLAN_MAX_OPTIONS)
                return parser_fail(p, "more than %d build options", PLAN_MAX_OPTIONS);
            k->options[k->option_count++] = value;
        } else if (!strcmp(word, "spec")) {
            ok = parse_spec(p, k, value);
        } else if (!strcmp(word, "bindings")) {
            ok = parser_integer(p, word, value, 0, PLAN_MAX_ARGS, &n);
            k->bindings = (uint32_t)n;
        } else if (!strcmp(word, "push")) {
            ok = parser_integer(p, word, value, 0, 4 * PLAN_MAX_ARGS, &n);
            k->push = (uint32_t)n;
        } else if (!strcmp(word, "subgroup")) {
            ok = parser_integer(p, word, value, 0, 1024, &n);
            k->subgroup = (uint32_t)n;
        } else {
            ok = parser_fail(p, "a kernel has no \"%.40s\"", word);
        }
        if (!ok) return false;
    }
    if (!k->file == !k->routine) return parser_fail(p, "kernel %s: either file or routine is needed", k->name);
    plan->kernel_count++;
    return true;
}

static bool parse_transfer(parser *p, plan_step *s, char *text) {
    static const char *const names[] = {"", "write", "read", "map"};
    const char *buffer = text_cut(text, ':');
    for (size_t i = 1; buffer && i < ARRAY_LENGTH(names); i++)
        if (!strcmp(text, names[i])) s->transfer = (transfer_kind)i;
    if (!s->transfer) return parser_fail(p, "transfer is not write:BUFFER, read:BUFFER or map:BUFFER");
    s->transferred = plan_find_buffer(p->plan, buffer);
    return s->transferred >= 0 || parser_fail(p, "there is no buffer \"%.48s\"", buffer);
}

static bool parse_step(parser *p) {
    plan *plan = p->plan;
    if (p->in_step) return parser_fail(p, "step within a step: \"end\" is missing");
    if (!parser_grow(p, &plan->steps, plan->step_count, &p->step_room, sizeof *plan->steps, PLAN_MAX_STEPS, "steps"))
        return false;
    plan_step *s = &plan->steps[plan->step_count];
    *s = (plan_step){.warmup = 1, .repeat_min = 3, .repeat_max = 20, .budget_ns = INT64_C(1500000000)};
    s->first_dispatch = plan->dispatch_count;
    if (!parser_name(p, "step", &s->name)) return false;
    for (int i = 0; i < plan->step_count; i++)
        if (!strcmp(plan->steps[i].name, s->name)) return parser_fail(p, "step %s is there already", s->name);
    int64_t n = 0, low = 0, high = 0;
    for (char *word; (word = parser_word(p));) {
        char *value = text_cut(word, '=');
        bool ok;
        if (!value) return parser_fail(p, "expected key=value, not \"%.60s\"", word);
        if (!strcmp(word, "warmup")) {
            ok = parser_integer(p, word, value, 0, MAX_REPEATS, &n);
            s->warmup = (int)n;
        } else if (!strcmp(word, "budget_ms")) {
            ok = parser_integer(p, word, value, 0, 3600000, &n);
            s->budget_ns = n * 1000000;
        } else if (!strcmp(word, "load")) {
            ok = parser_integer(p, word, value, LOAD_UNIT, INT32_MAX, &n);
            s->load = (size_t)n;
        } else if (!strcmp(word, "cold")) {
            ok = parser_integer(p, word, value, 0, 1, &n);
            s->cold = n;
        } else if (!strcmp(word, "transfer")) {
            ok = parse_transfer(p, s, value);
        } else if (!strcmp(word, "repeat")) {
            char *dots = strstr(value, "..");
            if (dots) *dots = 0;
            ok = parser_integer(p, word, value, 0, MAX_REPEATS, &low) &&
                 parser_integer(p, word, dots ? dots + 2 : value, low ? low : 1, MAX_REPEATS, &high);
            s->repeat_min = (int)low;
            s->repeat_max = (int)high;
        } else {
            ok = parser_fail(p, "a step has no \"%.40s\"", word);
        }
        if (!ok) return false;
    }
    p->in_step = true;
    return true;
}

static bool parse_sizes(parser *p, const char *key, char *text, uint32_t sizes[3], int *count) {
    *count = 0;
    while (text) {
        char *rest = text_cut(text, ',');
        int64_t n;
        if (*count == 3) return parser_fail(p, "%s has more than 3 dimensions", key);
        if (!parser_integer(p, key, text, 1, UINT32_MAX, &n)) return false;
        sizes[(*count)++] = (uint32_t)n;
        text = rest;
    }
    return true;
}

static bool parse_arg(parser *p, plan_arg *a, char *text) {
    char *value = text_cut(text, ':');
    int64_t n = 0;
    double wide = 0;
    if (!value || !text[0] || text[1]) return parser_fail(p, "argument \"%.40s\" is not KIND:VALUE", text);
    a->kind = text[0];
    switch (a->kind) {
    case 'B':
        n = plan_find_buffer(p->plan, value);
        if (n < 0) return parser_fail(p, "there is no buffer \"%.48s\"", value);
        break;
    case 'I':
        if (!parser_integer(p, "I", value, INT32_MIN, INT32_MAX, &n)) return false;
        break;
    case 'U':
        if (!parser_integer(p, "U", value, 0, UINT32_MAX, &n)) return false;
        break;
    case 'L':
        if (!parser_integer(p, "L", value, 1, 16 << 20, &n)) return false;
        break;
    case 'F':
        if (!parser_real(p, "F", value, &wide)) return false;
        a->f = (float)wide;
        memcpy(&a->u, &a->f, sizeof a->f);
        return true;
    default: return parser_fail(p, "argument kind \"%c\" is none of B, I, U, F, L", a->kind);
    }
    a->u = (uint32_t)n;
    return true;
}

static bool parse_run(parser *p) {
    plan *plan = p->plan;
    if (!p->in_step) return parser_fail(p, "run outside a step");
    if (!parser_grow(p, &plan->dispatches, plan->dispatch_count, &p->dispatch_room, sizeof *plan->dispatches,
                     PLAN_MAX_DISPATCHES, "dispatches"))
        return false;
    plan_dispatch *d = &plan->dispatches[plan->dispatch_count];
    *d = (plan_dispatch){0};
    const char *name;
    if (!parser_name(p, "run", &name)) return false;
    d->kernel = find_kernel(plan, name);
    if (d->kernel < 0) return parser_fail(p, "there is no kernel \"%s\"", name);
    for (char *word; (word = parser_word(p));) {
        char *value = text_cut(word, '=');
        if (!value) return parser_fail(p, "expected key=value, not \"%.60s\"", word);
        if (!strcmp(word, "global")) {
            if (!parse_sizes(p, word, value, d->global, &d->global_count)) return false;
        } else if (!strcmp(word, "local")) {
            if (!parse_sizes(p, word, value, d->local, &d->local_count)) return false;
        } else if (!strcmp(word, "args")) {
            for (char *next = *value ? value : NULL; next;) {
                char *rest = text_cut(next, ',');
                if (d->arg_count == PLAN_MAX_ARGS) return parser_fail(p, "more than %d arguments", PLAN_MAX_ARGS);
                if (!parse_arg(p, &d->args[d->arg_count], next)) return false;
                d->arg_count++;
                next = rest;
            }
        } else {
            return parser_fail(p, "a run has no \"%.40s\"", word);
        }
    }
    if (d->local_count && d->local_count != d->global_count)
        return parser_fail(p, "global and local differ in dimensions");
    plan->dispatch_count++;
    return true;
}

static bool parse_return(parser *p) {
    if (!p->in_step) return parser_fail(p, "return outside a step");
    plan_step *s = &p->plan->steps[p->plan->step_count];
    const char *name;
    if (!parser_name(p, "return", &name)) return false;
    int buffer = plan_find_buffer(p->plan, name);
    if (buffer < 0) return parser_fail(p, "there is no buffer \"%s\"", name);
    if (s->return_count == PLAN_MAX_RETURNS) return parser_fail(p, "more than %d returns", PLAN_MAX_RETURNS);
    s->returns[s->return_count++] = buffer;
    return true;
}

static bool parse_end(parser *p) {
    if (!p->in_step) return parser_fail(p, "end outside a step");
    plan_step *s = &p->plan->steps[p->plan->step_count++];
    s->dispatch_count = p->plan->dispatch_count - s->first_dispatch;
    p->in_step = false;
    if (s->transfer && (s->dispatch_count || s->load))
        return parser_fail(p, "step %s transfers and does something else", s->name);
    return s->dispatch_count || s->transfer || s->load || parser_fail(p, "step %s runs nothing", s->name);
}

static bool parse_option(parser *p) {
    plan *plan = p->plan;
    if (!parser_grow(p, &plan->options, plan->option_count, &p->option_room, sizeof *plan->options, PLAN_MAX_OPTIONS,
                     "options"))
        return false;
    char *key = parser_word(p), *value = key ? text_cut(key, '=') : NULL;
    if (!value || !text_is_name(key)) return parser_fail(p, "option is not KEY=VALUE");
    if (plan_option_value(plan, key)) return parser_fail(p, "option %s is there already", key);
    plan->options[plan->option_count++] = (plan_option){key, value};
    return true;
}

static bool parse_backend(parser *p) {
    char *name = parser_word(p);
    if (p->plan->backend) return parser_fail(p, "a second backend");
    if (!name || (strcmp(name, "cpu") && strcmp(name, "opencl") && strcmp(name, "vulkan")))
        return parser_fail(p, "backend is none of cpu, opencl, vulkan");
    p->plan->backend = name;
    return true;
}

static bool parse_header(parser *p) {
    char *number = parser_word(p);
    if (p->has_header) return parser_fail(p, "a second gemmafit-plan line");
    int64_t version;
    if (!number || !text_integer(number, PLAN_VERSION, PLAN_VERSION, &version))
        return parser_fail(p, "plan version \"%.20s\" is not %d", number ? number : "", PLAN_VERSION);
    return p->has_header = true;
}

static bool parse_statement(parser *p) {
    static const struct {
        const char *word;
        bool (*parse)(parser *);
        bool open_ended; /* reads the whole line itself */
    } statements[] = {
        {"buffer", parse_buffer, true},  {"kernel", parse_kernel, true},    {"run", parse_run, true},
        {"step", parse_step, true},      {"return", parse_return, false},   {"end", parse_end, false},
        {"option", parse_option, false}, {"backend", parse_backend, false}, {"gemmafit-plan", parse_header, false},
    };
    char *word = parser_word(p);
    if (!word) return true;
    if (!p->has_header && strcmp(word, "gemmafit-plan"))
        return parser_fail(p, "a plan begins with \"gemmafit-plan %d\"", PLAN_VERSION);
    for (size_t i = 0; i < ARRAY_LENGTH(statements); i++) {
        if (strcmp(word, statements[i].word)) continue;
        if (!statements[i].parse(p)) return false;
        const char *rest = statements[i].open_ended ? NULL : parser_word(p);
        return !rest || parser_fail(p, "\"%.40s\" follows the end of the statement", rest);
    }
    return parser_fail(p, "unknown word \"%.40s\"", word);
}

bool plan_parse(plan *plan, char *text, size_t size, char *error, size_t error_size) {
    parser p = {.plan = plan, .error = error, .error_size = error_size};
    *plan = (struct plan){.text = text};
    if (strlen(text) != size) {
        p.number = 1;
        for (const char *c = text; *c; c++) p.number += *c == '\n';
        return parser_fail(&p, "the file holds a NUL byte");
    }
    for (char *line = text; line;) {
        char *next = text_cut(line, '\n');
        p.number++;
        text_cut(line, '#');
        p.line = line;
        if (!parse_statement(&p)) return false;
        line = next;
    }
    if (p.in_step) return parser_fail(&p, "the last step has no \"end\"");
    if (!plan->backend) return parser_fail(&p, "no backend line");
    return true;
}

void plan_free(plan *plan) {
    free(plan->options);
    free(plan->buffers);
    free(plan->kernels);
    free(plan->steps);
    free(plan->dispatches);
    free(plan->text);
    *plan = (struct plan){0};
}

const char *plan_option_value(const plan *plan, const char *key) {
    for (int i = 0; i < plan->option_count; i++)
        if (!strcmp(plan->options[i].key, key)) return plan->options[i].value;
    return NULL;
}

int plan_option_number(const plan *plan, const char *key, int limit) {
    const char *text = plan_option_value(plan, key);
    int64_t value;
    if (!text) return -1;
    return text_integer(text, 0, limit, &value) ? (int)value : -2;
}

uint64_t plan_bytes(const plan *plan) {
    uint64_t bytes = 0, beside = 0;
    for (int i = 0; i < plan->buffer_count; i++) bytes += plan->buffers[i].bytes;
    for (int i = 0; i < plan->step_count; i++) {
        const plan_step *s = &plan->steps[i];
        size_t more = s->transfer ? plan->buffers[s->transferred].bytes : s->load;
        if (more > beside) beside = more;
    }
    return bytes + beside;
}
