/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* memory.c - see memory.h. */
#include "weir/memory.h"

#include <inttypes.h>
#include <stdio.h>

uint64_t memory_map(const struct maps *maps, enum map_id id)
{
	char path[48], line[128];
	uint64_t bytes = 0;
	FILE *info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", maps->fds[id]);
	info = fopen(path, "re");
	if (!info)
		return 0;
	while (fgets(line, sizeof(line), info) && sscanf(line, "memlock: %" SCNu64, &bytes) != 1)
		;
	fclose(info);
	return bytes;
}

uint64_t memory_total(const struct maps *maps)
{
	uint64_t bytes = 0;

	for (int id = 0; id < MAP_COUNT; id++)
		bytes += memory_map(maps, id);
	return bytes;
}
