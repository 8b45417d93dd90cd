/* Tools that behaved otherwise than today's toybox, by the name they are called by:

   ls, df, chmod   of Android 5: `ls -l` and `ls -Z` print the last part of the path only, `df` prints rounded sizes
                   with a unit and takes every argument for a path, `chmod` knows octal modes only.
   dd              which every Android has and Debian's toybox lacks: a read is a block, however short it was.
   setsid          of Android 11 and 12 (toybox 0.8.3 and 0.8.4): a group of its own first, after which setsid(2)
                   cannot succeed; so it forks, and the parent, whom the shell waits for, exits with 0 at once.

   Of `ls` no more than -l -n -Z -a -d, of `chmod` no -R, of `dd` if, of, bs, ibs, obs and count. Linked statically: the phone has no library that it may use. */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

static int show_long, numeric, label, all, directories;

static int complain(const char *path) {
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    return 1;
}

static int entry(const char *path) {
    struct stat st;
    if (lstat(path, &st) != 0) return complain(path);
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    char mode[11] = "-rwxrwxrwx", date[32], owner[32], group[32], target[256] = "";
    mode[0] = S_ISLNK(st.st_mode) ? 'l' : S_ISDIR(st.st_mode) ? 'd' : S_ISCHR(st.st_mode) ? 'c'
            : S_ISFIFO(st.st_mode) ? 'p' : S_ISSOCK(st.st_mode) ? 's' : '-';
    for (int bit = 0; bit < 9; bit++)
        if (!(st.st_mode & (0400 >> bit))) mode[bit + 1] = '-';
    struct passwd *user = numeric ? NULL : getpwuid(st.st_uid);
    struct group *its = numeric ? NULL : getgrgid(st.st_gid);
    snprintf(owner, sizeof owner, "%u", st.st_uid);
    snprintf(group, sizeof group, "%u", st.st_gid);
    if (S_ISLNK(st.st_mode)) {
        ssize_t length = readlink(path, target, sizeof target - 1);
        if (length < 0) return 1; /* without a word, as for the processes of others */
        target[length] = 0;
    }
    strftime(date, sizeof date, "%Y-%m-%d %H:%M", localtime(&st.st_mtime));
    printf("%s %-8s %-8s ", mode, user ? user->pw_name : owner, its ? its->gr_name : group);
    if (label) printf("         u:object_r:system_file:s0 %s", name);
    else if (S_ISREG(st.st_mode)) printf("%8lld %s %s", (long long)st.st_size, date, name);
    else printf("         %s %s", date, name);
    printf("%s%s\n", *target ? " -> " : "", target);
    return 0;
}

static int show(const char *folder, const char *name) {
    char path[4096];
    if (!show_long && !label) return puts(name) < 0;
    snprintf(path, sizeof path, "%s/%s", folder ? folder : "", name);
    return entry(folder ? path : name);
}

static int visible(const struct dirent *one) {
    return strcmp(one->d_name, ".") && strcmp(one->d_name, "..") && (all || one->d_name[0] != '.');
}

static int list(const char *path) {
    struct stat st;
    struct dirent **found;
    if ((path[strlen(path) - 1] == '/' ? stat : lstat)(path, &st) != 0) return complain(path);
    if (directories || !S_ISDIR(st.st_mode)) return show(NULL, path);
    int count = scandir(path, &found, visible, alphasort), status = 0;
    if (count < 0) {
        fprintf(stderr, "opendir failed, %s\n", strerror(errno));
        return 1;
    }
    for (int i = 0; i < count; i++) status |= show(path, found[i]->d_name);
    return status;
}

static int ls(int count, char **words) {
    int paths = 0, status = 0;
    for (int i = 1; i < count; i++) {
        if (words[i][0] != '-') {
            paths++;
            continue;
        }
        for (const char *c = words[i] + 1; *c; c++) switch (*c) {
            case 'l': show_long = 1; break;
            case 'n': show_long = numeric = 1; break;
            case 'Z': label = 1; break;
            case 'a': all = 1; break;
            case 'd': directories = 1; break;
            default:
                fprintf(stderr, "ls: Unknown option '-%c'. Aborting.\n", *c);
                return 1;
            }
    }
    if (!paths) return list(".");
    for (int i = 1; i < count; i++)
        if (words[i][0] != '-') status |= list(words[i]);
    return status;
}

static void size(double bytes) {
    const char *unit = "K";
    bytes /= 1024;
    if (bytes > 1024) bytes /= 1024, unit = "M";
    if (bytes > 1024) bytes /= 1024, unit = "G";
    printf("%6.1f%s", bytes, unit);
}

static int df(int count, char **words) {
    int status = 0;
    puts("Filesystem               Size     Used     Free   Blksize");
    for (int i = 1; i < count; i++) {
        struct statfs st;
        if (statfs(words[i], &st) != 0) {
            status = complain(words[i]);
            continue;
        }
        double block = st.f_bsize;
        printf("%-20s  ", words[i]);
        size(st.f_blocks * block);
        printf("  ");
        size((st.f_blocks - st.f_bfree) * block);
        printf("  ");
        size(st.f_bfree * block);
        printf("   %d\n", (int)st.f_bsize);
    }
    return status;
}

static int change_mode(int count, char **words) {
    char *end = "?";
    mode_t mode = count < 3 ? 0 : strtoul(words[1], &end, 8);
    if (*end) {
        fprintf(stderr, "Usage: chmod [OPTION] <MODE> <FILE>\n");
        return 10;
    }
    for (int i = 2; i < count; i++)
        if (chmod(words[i], mode) != 0) {
            fprintf(stderr, "Unable to chmod %s: %s\n", words[i], strerror(errno));
            return 10;
        }
    return 0;
}

static int put(int file, const char *data, size_t size) {
    while (size > 0) {
        ssize_t written = write(file, data, size);
        if (written < 0) return complain("dd: write");
        data += written;
        size -= written;
    }
    return 0;
}

static int dd(int count, char **words) {
    const char *from = NULL, *to = NULL;
    size_t in = 512, out = 512, held = 0, whole = 0, part = 0, blocks = (size_t)-1;
    for (int i = 1; i < count; i++) {
        char *value = strchr(words[i], '=');
        if (!value) return fprintf(stderr, "dd: unknown operand %s\n", words[i]), 1;
        *value++ = 0;
        size_t number = strtoull(value, NULL, 10);
        if (!strcmp(words[i], "if")) from = value;
        else if (!strcmp(words[i], "of")) to = value;
        else if (!strcmp(words[i], "bs")) in = out = number;
        else if (!strcmp(words[i], "ibs")) in = number;
        else if (!strcmp(words[i], "obs")) out = number;
        else if (!strcmp(words[i], "count")) blocks = number;
        else return fprintf(stderr, "dd: unknown operand %s\n", words[i]), 1;
    }
    int source = from ? open(from, O_RDONLY) : 0, target = to ? open(to, O_WRONLY | O_CREAT | O_TRUNC, 0666) : 1;
    if (source < 0) return complain(from);
    if (target < 0) return complain(to);
    char *buffer = in && out ? malloc(in + out) : NULL;
    if (!buffer) return complain("dd: block size");
    while (whole + part < blocks) {
        ssize_t got = read(source, buffer + held, in);
        if (got < 0) return complain("dd: read");
        if (got == 0) break;
        *((size_t)got == in ? &whole : &part) += 1;
        held += got;
        if (held >= out) {
            if (put(target, buffer, held)) return 1;
            held = 0;
        }
    }
    if (put(target, buffer, held)) return 1;
    fprintf(stderr, "%zu+%zu records in\n", whole, part);
    return 0;
}

static int detach(int count, char **words) {
    if (count < 2) return 1;
    setpgid(0, 0);
    if (setsid() < 0) {
        pid_t child = fork();
        if (child != 0) _exit(child < 0);
        setsid();
    }
    execvp(words[1], words + 1);
    fprintf(stderr, "setsid: exec %s: %s\n", words[1], strerror(errno));
    return 127;
}

int main(int count, char **words) {
    const char *slash = strrchr(words[0], '/');
    const char *name = slash ? slash + 1 : words[0];
    if (!strcmp(name, "ls")) return ls(count, words);
    if (!strcmp(name, "df")) return df(count, words);
    if (!strcmp(name, "chmod")) return change_mode(count, words);
    if (!strcmp(name, "dd")) return dd(count, words);
    if (!strcmp(name, "setsid")) return detach(count, words);
    fprintf(stderr, "%s: no such tool\n", name);
    return 255;
}
