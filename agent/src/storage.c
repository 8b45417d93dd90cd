#include "storage.h"

#include "fill.h"
#include "system.h"

enum { MOST_PARTS = PLAN_MAX_BUFFERS + 512 };

static struct {
    int fd;
    uint64_t size;
} store = {-1, 0};

static status write_stored(const plan *p, uint8_t *scratch, fault *f) {
    for (int i = 0; i < p->buffer_count; i++) {
        const plan_buffer *b = &p->buffers[i];
        for (size_t offset = 0; b->stored && offset < b->bytes;) {
            size_t size = b->bytes - offset < LOAD_UNIT ? b->bytes - offset : LOAD_UNIT;
            if (deadline_passed()) return fault_set(f, STATUS_SKIPPED, "%s", deadline_reason());
            fill_write(b, offset, size, scratch);
            if (!write_all(store.fd, scratch, size))
                return fault_set(f, STATUS_ERROR, "the weights cannot be stored: %s", strerror(errno));
            offset += size;
            store.size += size;
        }
    }
    if (fsync(store.fd)) return fault_set(f, STATUS_ERROR, "the weights cannot be stored: %s", strerror(errno));
    return STATUS_OK;
}

status storage_create(const plan *p, fault *f) {
    static const char name[] = "weights";
    bool any = false;
    for (int i = 0; i < p->buffer_count; i++) any |= p->buffers[i].stored;
    if (!any) return STATUS_OK;
    store.fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (store.fd < 0) return fault_set(f, STATUS_ERROR, "%s: %s", name, strerror(errno));
    unlink(name);
    uint8_t *scratch = malloc(LOAD_UNIT);
    status s = scratch ? write_stored(p, scratch, f) : fault_set(f, STATUS_ERROR, "out of memory");
    free(scratch);
    return s;
}

/* Part of the file in the page cache, 0 to 1; 1 where the system does not say. */
static double cached(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = ((size_t)store.size + page - 1) / page, held = 0;
    unsigned char *state = malloc(pages);
    void *map = mmap(NULL, (size_t)store.size, PROT_READ, MAP_SHARED, store.fd, 0);
    bool known = state && map != MAP_FAILED && mincore(map, (size_t)store.size, state) == 0;
    for (size_t i = 0; known && i < pages; i++) held += state[i] & 1;
    if (map != MAP_FAILED) munmap(map, (size_t)store.size);
    free(state);
    return known ? (double)held / (double)pages : 1;
}

status storage_evict(fault *f) {
    posix_fadvise(store.fd, 0, 0, POSIX_FADV_DONTNEED);
    double left = cached();
    if (left <= 0.05) return STATUS_OK;
    return fault_set(f, STATUS_SKIPPED, "a cold read cannot be had: %.0f %% of the file stay in memory", 100 * left);
}

typedef struct part {
    int buffer;
    size_t offset, size;
} part;

/* What the next piece holds: whole buffers, or a buffer cut at a multiple of LOAD_UNIT. `at` moves on. */
static int next_parts(const plan *p, size_t piece, part *at, part *parts) {
    int count = 0;
    while (at->buffer < p->buffer_count && count < MOST_PARTS) {
        const plan_buffer *b = &p->buffers[at->buffer];
        size_t size = b->stored ? b->bytes - at->offset : 0;
        if (size > piece) size = piece / LOAD_UNIT * LOAD_UNIT;
        if (b->stored && !size) break;
        if (size) parts[count++] = (part){at->buffer, at->offset, size};
        piece -= size;
        at->offset += size;
        if (b->stored && at->offset < b->bytes) break;
        *at = (part){at->buffer + 1, 0, 0};
    }
    return count;
}

static status read_piece(uint64_t offset, uint8_t *out, size_t size, fault *f) {
    while (size) {
        ssize_t got = pread(store.fd, out, size, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0)
            return fault_set(f, STATUS_ERROR, "the weights cannot be read: %s", got ? strerror(errno) : "file ended");
        out += got;
        size -= (size_t)got;
        offset += (uint64_t)got;
    }
    return STATUS_OK;
}

status storage_load(const plan *p, const executor *on, size_t piece, fault *f) {
    static part parts[MOST_PARTS];
    part at = {0, 0, 0};
    uint64_t offset = 0;
    status s = STATUS_OK;
    /* mmap: the memory goes back to the system at the end, so that the peak of one load is not the next one's. */
    uint8_t *memory = mmap(NULL, piece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return fault_set(f, STATUS_ERROR, "no memory for %zu bytes of weights", piece);
    for (int count; s == STATUS_OK && (count = next_parts(p, piece, &at, parts)) > 0;) {
        size_t size = 0, used = 0;
        if (deadline_passed()) {
            s = fault_set(f, STATUS_SKIPPED, "%s", deadline_reason());
            break;
        }
        for (int i = 0; i < count; i++) size += parts[i].size;
        s = read_piece(offset, memory, size, f);
        for (int i = 0; on && s == STATUS_OK && i < count; i++) {
            uint8_t *host = on->host(parts[i].buffer);
            if (host)
                memcpy(host + parts[i].offset, memory + used, parts[i].size);
            else
                s = on->write(parts[i].buffer, parts[i].offset, memory + used, parts[i].size, f);
            used += parts[i].size;
        }
        offset += size;
    }
    munmap(memory, piece);
    return s;
}
