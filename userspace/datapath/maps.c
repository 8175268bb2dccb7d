/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * maps.c - opens the pinned maps and maps the arrays into memory; see maps.h.
 *
 * Nothing is read from a map before its type and sizes were compared with what this program was
 * compiled for. The limits in `settings` are believed only as far as the maps reach.
 */
#include "datapath/maps.h"

#include "base/err.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOT_DEFAULT "/sys/fs/bpf/weir"
#define WINDOW_BYTES ((size_t)256 << 10) /* a multiple of any page and of each element */
#define WHOLE_BYTES  (4 * WINDOW_BYTES) /* smaller arrays are not worth windows */

const char *const map_names[MAP_COUNT] = {
#define X(name, type, key, value) [MAP_##name] = #name,
	MAPS(X)
#undef X
};

struct map_shape {
	__u32 type, key_size, value_size;
};

static const struct map_shape map_shapes[MAP_COUNT] = {
#define X(name, type, key, value) [MAP_##name] = {BPF_MAP_TYPE_##type, sizeof(key), sizeof(value)},
	MAPS(X)
#undef X
};

static const char *root_directory(void)
{
	const char *root = getenv("WEIR_ROOT");

	return root && *root ? root : ROOT_DEFAULT;
}

const char *maps_directory(char *text, size_t size)
{
	snprintf(text, size, "%s/v%d", root_directory(), WEIR_ABI_VERSION);
	return text;
}

/* The version of other pins below ROOT, or 0. */
static int other_version(void)
{
	DIR *directory = opendir(root_directory());
	struct dirent *entry;
	int version = 0, found;
	char rest;

	if (!directory)
		return 0;
	while ((entry = readdir(directory))) {
		if (sscanf(entry->d_name, "v%d%c", &found, &rest) == 1 && found > 0 &&
		    found != WEIR_ABI_VERSION)
			version = found;
	}
	closedir(directory);
	return version;
}

int maps_check_version(struct err *err)
{
	int version = other_version();

	if (!version)
		return 0;
	return err_set(err, -EPROTO,
		       "maps of ABI v%d are installed, this weir speaks v%d: use the weir "
		       "that loaded them, or run `weir unload` and `weir load` (ends flows)",
		       version, WEIR_ABI_VERSION);
}

static int check_directory(const char *directory, struct err *err)
{
	struct stat status;
	int rc;

	if (!stat(directory, &status))
		return 0;
	if (errno != ENOENT && errno != ENOTDIR)
		return err_set(err, -errno, "%s: %s", directory, strerror(errno));
	rc = maps_check_version(err);
	if (rc)
		return rc;
	return err_set(err, -ENOENT, "not loaded: no %s (run `weir load`)", directory);
}

static int check_shape(const struct maps *maps, enum map_id id, struct bpf_map_info *ret_info,
		       struct err *err)
{
	const struct map_shape *want = &map_shapes[id];
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(maps->fds[id], &info, &len))
		return err_set(err, -errno, "%s/%s: %s", maps->directory, map_names[id],
			       strerror(errno));
	if (info.type != want->type || info.key_size != want->key_size ||
	    info.value_size != want->value_size)
		return err_set(err, -EPROTO,
			       "%s/%s: got type %u, key %u, value %u, wanted %u, %u, %u: "
			       "run `weir unload` and `weir load` (ends flows)",
			       maps->directory, map_names[id], info.type, info.key_size,
			       info.value_size, want->type, want->key_size, want->value_size);
	*ret_info = info;
	return 0;
}

static int open_map(struct maps *maps, enum map_id id, struct err *err)
{
	char path[sizeof(maps->directory) + 64];
	struct bpf_map_info info = {};
	int rc;

	snprintf(path, sizeof(path), "%s/%s", maps->directory, map_names[id]);
	maps->fds[id] = bpf_obj_get(path);
	if (maps->fds[id] < 0) {
		rc = -errno;
		if (rc == -ENOENT)
			return err_set(err, -EPROTO,
				       "%s is missing: run `weir unload` and `weir load`", path);
		return err_set(err, rc, "%s: %s", path, strerror(-rc));
	}
	rc = check_shape(maps, id, &info, err);
	if (rc)
		return rc;
	if (info.type == BPF_MAP_TYPE_ARRAY)
		maps->sizes[id] = (size_t)info.value_size * info.max_entries;
	return 0;
}

/* A limit is the length of arrays: beyond them lies other memory, or none. */
static int check_limits(const struct maps *maps, struct err *err)
{
	const struct weir_settings *settings = maps->settings;
	const struct {
		enum map_id id;
		__u64 count;
	} needs[] = {
		{MAP_services, settings->services},
		{MAP_service_info, settings->services},
		{MAP_frontend_list, settings->frontends},
		{MAP_slots, settings->slots},
		{MAP_backends, settings->backends},
		{MAP_backend_info, settings->backends},
		{MAP_gauges, settings->backends},
		{MAP_counters, (__u64)settings->backends * settings->cpus},
		{MAP_flows, settings->flow_buckets},
		{MAP_flows_wide, settings->flow_wide_buckets},
		{MAP_vip_filter, settings->vip_filter_words},
		{MAP_backend_filter, settings->backend_filter_words},
	};

	if (settings->abi_version && settings->abi_version != WEIR_ABI_VERSION)
		return err_set(err, -EPROTO, "%s/settings says ABI v%u, this weir speaks v%d",
			       maps->directory, settings->abi_version, WEIR_ABI_VERSION);
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		enum map_id id = needs[i].id;

		if (needs[i].count * map_shapes[id].value_size > maps->sizes[id])
			return err_set(err, -EPROTO, "%s/%s is shorter than settings say: %s",
				       maps->directory, map_names[id],
				       "run `weir unload` and `weir load`");
	}
	return 0;
}

static int open_all(struct maps *maps, struct err *err)
{
	int rc = check_directory(maps->directory, err);

	for (int id = 0; !rc && id < MAP_COUNT; id++)
		rc = open_map(maps, id, err);
	if (rc)
		return rc;
	maps->settings = maps_array(maps, MAP_settings);
	if (!maps->settings)
		return err_set(err, -errno, "%s/settings: mmap: %s", maps->directory,
			       strerror(errno));
	return check_limits(maps, err);
}

int maps_open(struct maps **ret_maps, struct err *err)
{
	struct maps *maps = calloc(1, sizeof(*maps));
	int rc;

	if (!maps)
		return err_set(err, -ENOMEM, "out of memory");
	for (int id = 0; id < MAP_COUNT; id++)
		maps->fds[id] = -1;
	maps_directory(maps->directory, sizeof(maps->directory));
	rc = open_all(maps, err);
	if (rc) {
		maps_close(maps);
		return rc;
	}
	*ret_maps = maps;
	return 0;
}

static size_t page_round(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (bytes + page - 1) & ~(page - 1);
}

void maps_close(struct maps *maps)
{
	if (!maps)
		return;
	for (int id = 0; id < MAP_COUNT; id++) {
		if (maps->memory[id])
			munmap(maps->memory[id], page_round(maps->sizes[id]));
		free(maps->windows[id]);
		if (maps->fds[id] >= 0)
			close(maps->fds[id]);
	}
	free(maps);
}

/* `where`: an address to map at, over what is reserved there, or NULL. */
static void *map_bytes(const struct maps *maps, enum map_id id, void *where, size_t offset,
		       size_t len)
{
	void *memory = mmap(where, len, PROT_READ | PROT_WRITE,
			    MAP_SHARED | (where ? MAP_FIXED : 0), maps->fds[id], (off_t)offset);

	return memory == MAP_FAILED ? NULL : memory;
}

void *maps_array(struct maps *maps, enum map_id id)
{
	void *memory;

	if (maps->memory[id] && !maps->windows[id])
		return maps->memory[id];
	memory = map_bytes(maps, id, maps->memory[id], 0, page_round(maps->sizes[id]));
	if (!memory)
		return NULL;
	free(maps->windows[id]);
	maps->windows[id] = NULL;
	maps->memory[id] = memory;
	return memory;
}

/* Addresses without memory, to map windows into. */
static bool reserve(struct maps *maps, enum map_id id)
{
	size_t count = maps->sizes[id] / WINDOW_BYTES + 1;
	void *memory;

	maps->windows[id] = calloc(count / 64 + 1, sizeof(__u64));
	if (!maps->windows[id])
		return false;
	memory = mmap(NULL, page_round(maps->sizes[id]), PROT_NONE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED) {
		free(maps->windows[id]);
		maps->windows[id] = NULL;
		return false;
	}
	maps->memory[id] = memory;
	return true;
}

static bool map_window(struct maps *maps, enum map_id id, size_t window)
{
	size_t offset = window * WINDOW_BYTES, left = page_round(maps->sizes[id]) - offset;

	if (!map_bytes(maps, id, (char *)maps->memory[id] + offset, offset,
		       left < WINDOW_BYTES ? left : WINDOW_BYTES))
		return false;
	maps->windows[id][window / 64] |= 1ull << (window % 64);
	return true;
}

void *maps_element(struct maps *maps, enum map_id id, size_t index)
{
	size_t at = index * map_shapes[id].value_size, window = at / WINDOW_BYTES;
	bool is_there = true;

	if (!maps->memory[id])
		is_there = maps->sizes[id] > WHOLE_BYTES ? reserve(maps, id)
							 : maps_array(maps, id) != NULL;
	if (is_there && maps->windows[id] &&
	    !(maps->windows[id][window / 64] & 1ull << (window % 64)))
		is_there = map_window(maps, id, window);
	if (!is_there)
		abort();
	return (char *)maps->memory[id] + at;
}

/* A window starts at a page; `lead` bytes of it lie before the first slot asked for. */
static void slots_window(__u32 start, __u32 count, size_t *ret_offset, size_t *ret_lead,
			 size_t *ret_len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t first = (size_t)start * sizeof(struct weir_slot);

	*ret_lead = first & (page - 1);
	*ret_offset = first - *ret_lead;
	*ret_len = page_round(*ret_lead + (size_t)count * sizeof(struct weir_slot));
}

struct weir_slot *maps_slots_map(struct maps *maps, __u32 start, __u32 count)
{
	size_t offset, lead, len;
	char *memory;

	if (start > maps->settings->slots || count > maps->settings->slots - start) {
		errno = EINVAL;
		return NULL;
	}
	slots_window(start, count, &offset, &lead, &len);
	memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, maps->fds[MAP_slots],
		      (off_t)offset);
	if (memory == MAP_FAILED)
		return NULL;
	return (struct weir_slot *)(memory + lead);
}

void maps_slots_unmap(struct weir_slot *slots, __u32 start, __u32 count)
{
	size_t offset, lead, len;

	if (!slots)
		return;
	slots_window(start, count, &offset, &lead, &len);
	munmap((char *)slots - lead, len);
}
