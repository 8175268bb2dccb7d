/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * test_weir.c - the control binary without a kernel: the command table and what must agree with
 * it, the reading of command lines, tables as text and as JSON, and what people see of made-up
 * maps in plain memory. tests/netns/cli.sh has the rest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* All of it but main.c: the library has none of these. */
#include "../../userspace/weir/commands.c"
#include "../../userspace/weir/cmd_apply.c"
#include "../../userspace/weir/cmd_backend.c"
#include "../../userspace/weir/cmd_completion.c"
#include "../../userspace/weir/cmd_config.c"
#include "../../userspace/weir/cmd_flows.c"
#include "../../userspace/weir/cmd_load.c"
#include "../../userspace/weir/cmd_outcomes.c"
#include "../../userspace/weir/cmd_service.c"
#include "../../userspace/weir/cmd_stats.c"
#include "../../userspace/weir/cmd_status.c"
#include "../../userspace/weir/edit.c"
#include "../../userspace/weir/file.c"
#include "../../userspace/weir/interfaces.c"
#include "../../userspace/weir/memory.c"
#include "../../userspace/weir/print.c"
#include "../../userspace/weir/request.c"
#include "../../userspace/weir/session.c"
#include "../../userspace/weir/table.c"
#include "../../userspace/weir/view.c"

/* --- the table --------------------------------------------------------------------------------- */

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 1 << 17);

	if (!file)
		fail_msg("cannot open %s", path);
	assert_true(text && fread(text, 1, (1 << 17) - 1, file) > 0);
	fclose(file);
	return text;
}

static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at++) {
		if ((at == text || strchr(" [|", at[-1])) && (!at[len] || strchr(" ]|.", at[len])))
			return true;
	}
	return false;
}

static void test_rows_are_complete(void **state)
{
	for (const struct command *row = commands; row->path; row++) {
		int operands = 0;

		assert_true(row->run && row->help && *row->help && row->arguments);
		assert_false(row->options & OPTIONS_ALWAYS);
		while (operands < OPERANDS_MAX && row->operands[operands])
			operands++;
		assert_true(operands >= row->operands_min);
		for (const struct keyword *keyword = row->keywords; keyword && keyword->name;
		     keyword++) {
			assert_true(has_word(row->arguments, keyword->name));
			assert_non_null(strstr(row->arguments, keyword->value));
			for (const struct keyword *other = row->keywords; other->name; other++)
				assert_true(other == keyword || strncmp(other->name, keyword->name,
									strlen(keyword->name)));
		}
		for (const struct option_row *option = options; option->name; option++) {
			if (option->flag & (OPTIONS_ALWAYS | OPTION_JSON))
				continue;
			assert_int_equal(has_word(row->arguments, option->name),
					 !!(row->options & option->flag));
		}
	}
}

/* list_words, match_word and completion rely on it. */
static void test_rows_are_sorted(void **state)
{
	for (const struct command *row = commands + 1; row->path; row++)
		assert_true(strcmp(row[-1].path, row->path) < 0);
}

static void test_manual_has_all_commands(void **state)
{
	char *page = read_file("userspace/man/weir.8"), wanted[96];

	for (const struct command *row = commands; row->path; row++) {
		snprintf(wanted, sizeof(wanted), "\n.It Cm %s", row->path);
		if (*row->path && !strstr(page, wanted))
			fail_msg("weir.8 lacks%s", wanted);
		for (const struct keyword *keyword = row->keywords; keyword && keyword->name;
		     keyword++) {
			snprintf(wanted, sizeof(wanted), " Cm %s Ar ", keyword->name);
			if (!keyword->names && !strstr(page, wanted))
				fail_msg("weir.8 lacks%s", wanted);
		}
	}
	for (const struct option_row *option = options; option->name; option++) {
		snprintf(wanted, sizeof(wanted), "Fl Fl %s", option->name + 2);
		if (!strstr(page, wanted))
			fail_msg("weir.8 lacks %s", wanted);
	}
	free(page);
}

/* Every key of JSON stands in the section about it. */
static void test_manual_has_all_columns(void **state)
{
	static const struct column *const tables[] = {
		service_columns, backend_columns,  total_columns, rate_columns,
		outcome_columns, internal_columns, flow_columns,
	};
	char *page = read_file("userspace/man/weir.8"), *section = strstr(page, ".Ss JSON");

	assert_non_null(section);
	*strstr(section, ".Sh ENVIRONMENT") = '\0';
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		for (const struct column *column = tables[i]; column->key; column++) {
			char wanted[64];

			snprintf(wanted, sizeof(wanted), " %s", column->key);
			if (!strstr(section, wanted))
				fail_msg("weir.8, JSON, lacks%s", wanted);
		}
	}
	free(page);
}

static void check_keys(const char *page, const struct config_key *keys)
{
	for (; keys->name; keys++) {
		char wanted[96], range[160], *item, *end;

		snprintf(wanted, sizeof(wanted), "\n.It Cm %s\n", keys->name);
		item = strstr(page, wanted);
		if (!item)
			fail_msg("weir.yaml.5 lacks key %s", keys->name);
		end = strstr(item + 1, "\n.It");
		snprintf(range, sizeof(range), "%.*s", (int)(end ? end - item : 150), item);
		if (keys->kind == CONFIG_NUMBER && keys->fallback && !strstr(range, keys->fallback))
			fail_msg("weir.yaml.5, %s: lacks default %s", keys->name, keys->fallback);
		if (keys->kind == CONFIG_SECONDS && !strstr(range, keys->fallback))
			fail_msg("weir.yaml.5, %s: lacks default %s", keys->name, keys->fallback);
		if (keys->kind == CONFIG_NUMBER) {
			config_format_range(keys, wanted, sizeof(wanted));
			if (!strstr(range, wanted))
				fail_msg("weir.yaml.5, %s: lacks %s", keys->name, wanted);
		}
	}
}

/* Each mapping has a subsection of its own. */
static void test_manual_has_all_keys(void **state)
{
	static const struct {
		const char *title;
		const char *parent; /* key of the file whose mapping it is, or NULL */
		const struct config_key *keys;
	} sections[] = {
		{".Ss The file\n", NULL, config_keys},
		{".Ss interfaces\n", NULL, config_interface_keys},
		{".Ss limits\n", "limits", NULL},
		{".Ss timeouts\n", "timeouts", NULL},
		{".Ss services\n", NULL, config_service_keys},
		{".Ss vips\n", NULL, config_vip_keys},
		{".Ss backends\n", NULL, config_backend_keys},
	};
	char *page = read_file("userspace/man/weir.yaml.5");

	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		const struct config_key *keys = sections[i].keys;
		char *section = strstr(page, sections[i].title), *end;

		assert_non_null(section);
		end = strstr(section, "\n.S");
		section = strndup(section, end ? (size_t)(end - section) : strlen(section));
		if (sections[i].parent)
			keys = config_find_key(config_keys, sections[i].parent)->keys;
		check_keys(section, keys);
		free(section);
	}
	free(page);
}

/* --- words ------------------------------------------------------------------------------------- */

struct find_row {
	const char *words[4];
	const char *path; /* NULL: an error */
	int used;
	const char *error;
};

static void test_prefixes_resolve(void **state)
{
	static const struct find_row rows[] = {
		{{NULL}, "", 0, NULL},
		{{"b", "l", "web"}, "backend list", 2, NULL},
		{{"service", "rem", "web"}, "service remove", 2, NULL},
		{{"stats", "web"}, "stats", 1, NULL},
		{{"statu"}, "status", 1, NULL},
		{{"ap", "status"}, "apply", 1, NULL},
		{{"co", "check"},
		 NULL,
		 0,
		 "got co, which is short for several, wanted completion or config"},
		{{"stat"}, NULL, 0, "got stat, which is short for several, wanted stats or status"},
		{{"statusx"},
		 NULL,
		 0,
		 "got statusx, wanted apply, backend, completion, config, flows, "
		 "load, outcomes, service, stats, status or unload"},
		{{""},
		 NULL,
		 0,
		 "got \"\", wanted apply, backend, completion, config, flows, load, "
		 "outcomes, service, stats, status or unload"},
		{{"service"},
		 NULL,
		 0,
		 "service: got nothing more, wanted add, list, remove or show"},
		{{"serv", "x"}, NULL, 0, "got x, wanted add, list, remove or show"},
		{{"config", "c"}, "config check", 2, NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct find_row *row = &rows[i];
		const struct command *command = NULL;
		char path[COMMANDS_PATH_LEN] = "";
		struct err err = {};
		int count = 0, used;

		while (count < 4 && row->words[count])
			count++;
		used = commands_find(row->words, count, false, path, &command, &err);
		if (!row->path) {
			assert_int_equal(used, -EINVAL);
			assert_string_equal(err.text, row->error);
			continue;
		}
		assert_int_equal(used, row->used);
		assert_string_equal(path, row->path);
		assert_string_equal(command->path, row->path);
	}
}

/* Every first letters of every path that mean one thing only do mean it; the others are refused. */
static void test_every_prefix(void **state)
{
	for (const struct command *row = commands + 1; row->path; row++) {
		char first[32], second[32] = "";
		const char *words[2] = {first, second};
		int count = 1 + (sscanf(row->path, "%31s %31s", first, second) == 2);
		char *last = count == 2 ? second : first;

		for (size_t len = strlen(last); len; len--) {
			const struct command *command = NULL;
			char path[COMMANDS_PATH_LEN];
			size_t same = 0, head = count == 2 ? strlen(first) + 1 : 0;
			int used;

			for (const struct command *other = commands + 1; other->path; other++) {
				bool is_counted = strncmp(other->path, row->path, head + len) == 0;

				if (is_counted && count == 1 && other > commands + 1 &&
				    !strncmp(other[-1].path, other->path,
					     strcspn(other->path, " ") + 1))
					is_counted = false; /* another row of one object */
				same += is_counted;
			}
			last[len] = '\0';
			used = commands_find(words, count, false, path, &command, NULL);
			if (same == 1 || !strcmp(row->path + head, last))
				assert_ptr_equal(command, row);
			else
				assert_int_equal(used, -EINVAL);
		}
	}
}

/* What a command line gives: an exit code, and what was said. Its words last until the next one. */
static int parse(struct request *request, char **ret_said, const char *line)
{
	static char words[256];
	char *rest = *line ? words : NULL, *word, *argv[32] = {"weir"};
	FILE *before = stderr;
	size_t len = 0;
	int argc = 1, code;

	snprintf(words, sizeof(words), "%s", line);
	while ((word = strsep(&rest, " ")))
		argv[argc++] = word;
	stderr = open_memstream(ret_said, &len);
	code = request_parse(argc, argv, request);
	fclose(stderr);
	stderr = before;
	return code;
}

static void test_misuse_is_said(void **state)
{
	static const struct {
		const char *line, *said;
	} rows[] = {
		{"stats --frob", "weir: got --frob, which is no option\n"},
		{"stats -x", "weir: got -x, which is no option\n"},
		{"stats --now", "weir: stats: --now is not for this command\nusage: weir stats "},
		{"stats web more",
		 "weir: stats: got more, wanted nothing more\nusage: weir stats "},
		{"stats --watch 0", "weir: --watch: got 0, wanted 1-3600\n"},
		{"stats --watch 5x", "weir: --watch: got 5x, wanted 1-3600\n"},
		{"apply",
		 "weir: apply: got nothing more, wanted FILE [--dry-run]\nusage: weir apply "},
		{"apply --json f", "weir: apply: --json is not for this command\n"},
		{"backend weight web 10.0.0.1:80",
		 "weir: backend weight: got nothing more, wanted "},
		{"backend add web 10.0.0.1:80 weight",
		 "weir: backend add: weight: got nothing, wanted N\n"},
		{"backend add web 10.0.0.1:80 color red",
		 "weir: backend add: got color, wanted weight, zone or labels\n"},
		{"backend add web 10.0.0.1:80 weight 1 weight 2",
		 "weir: backend add: got weight a second time, wanted it once\n"},
		{"service add web", "weir: service add: got no vip, wanted vip ADDR:PORT\n"},
		{"service add web p tcp", "weir: service add: got p, which is short for several, "},
		{"service add web vip 10.0.0.1:80 10.0.0.2:80 protocol",
		 "weir: service add: protocol: got nothing, wanted tcp|udp\n"},
		{"flows web", "weir: flows: got web, wanted service, backend, client or limit\n"},
		{"nonsense", "weir: got nonsense, wanted apply, "},
		{"service", "weir: service: got nothing more, wanted add, list, remove or show\n"},
		{"status --", NULL},
		{"status -- -j", "weir: status: got -j, wanted nothing more\n"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct request request;
		char *said = NULL;
		int code = parse(&request, &said, rows[i].line);

		assert_int_equal(code, rows[i].said ? EXIT_MISUSED : EXIT_DONE);
		if (!code)
			request_free(&request);
		else if (strncmp(said, rows[i].said, strlen(rows[i].said)))
			fail_msg("`%s` says: %s", rows[i].line, said);
		free(said);
	}
}

static void test_words_find_their_places(void **state)
{
	struct request request;
	char *said = NULL;

	assert_int_equal(
		parse(&request, &said,
		      "-j service add weight vip 10.0.0.1:80 10.0.0.2:80 drain 5s pro udp"),
		EXIT_MISUSED);
	assert_non_null(strstr(said, "--json is not for this command"));
	free(said);

	assert_int_equal(parse(&request, &said,
			       "service add vip vip 10.0.0.1:80 10.0.0.2:80 drain 5s pro udp"),
			 EXIT_DONE);
	assert_string_equal(request.operands[0], "vip");
	assert_null(request.operands[1]);
	assert_int_equal(request.setting_count, 4);
	assert_string_equal(request.settings[0].text, "10.0.0.1:80");
	assert_string_equal(request.settings[1].text, "10.0.0.2:80");
	assert_string_equal(request.settings[1].keyword->name, "vip");
	assert_string_equal(request_value(&request, "drain-timeout"), "5s");
	assert_string_equal(request_value(&request, "protocol"), "udp");
	assert_null(request_value(&request, "path"));
	request_free(&request);
	free(said);

	assert_int_equal(parse(&request, &said, "stats --watch web -j"), EXIT_DONE);
	assert_int_equal(request.watch_s, 1);
	assert_string_equal(request.operands[0], "web");
	assert_true(request_has(&request, OPTION_JSON) && request_has(&request, OPTION_WATCH));
	request_free(&request);
	free(said);

	assert_int_equal(parse(&request, &said, "stats 7 --watch 5"), EXIT_DONE);
	assert_int_equal(request.watch_s, 5);
	assert_string_equal(request.operands[0], "7");
	request_free(&request);
	free(said);

	assert_int_equal(parse(&request, &said, "service --help"), EXIT_DONE);
	assert_null(request.command);
	assert_string_equal(request.path, "service");
	request_free(&request);
	free(said);
}

/* --- tables ------------------------------------------------------------------------------------ */

static const struct column all_kinds[] = {
	{"name", "NAME", COLUMN_TEXT},       {"count", "COUNT", COLUMN_NUMBER},
	{"left_ms", "LEFT", COLUMN_MS},      {"list", "LIST", COLUMN_LIST},
	{"is_on", "ON", COLUMN_BOOL},        {"hidden", NULL, COLUMN_NUMBER},
	{"labels", "LABELS", COLUMN_LABELS}, {},
};

static void fill_table(struct table *table)
{
	table_init(table, all_kinds);
	table_add_text(table, "a");
	table_add_number(table, 12345678901234567ull);
	table_add_number(table, 1001);
	table_add_text(table, "x,y");
	table_add_bool(table, true);
	table_add_number(table, 7);
	table_add_text(table, "k=1,l=");
	table_add_text(table, "longer");
	for (int i = 0; i < 6; i++)
		table_add_absent(table);
}

static void check_output(const char *got, const char *wanted)
{
	assert_string_equal(got, wanted);
}

static void test_table_as_text(void **state)
{
	struct table table;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	fill_table(&table);
	assert_int_equal(table_print_text(&table, out), EXIT_DONE);
	fclose(out);
	check_output(text, "NAME                COUNT  LEFT  LIST  ON   LABELS\n"
			   "a       12345678901234567    2s  x,y   yes  k=1,l=\n"
			   "longer                  -     -  -     -    -\n");
	free(text);
	table_free(&table);
}

static void test_table_as_json(void **state)
{
	struct table table;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	json_t *parsed, *same;

	fill_table(&table);
	assert_int_equal(table_print_json(&table, out, ",\n "), EXIT_DONE);
	fclose(out);
	check_output(text,
		     "[{\"name\": \"a\", \"count\": 12345678901234567, \"left_ms\": 1001, "
		     "\"list\": [\"x\", \"y\"], \"is_on\": true, \"hidden\": 7, "
		     "\"labels\": {\"k\": \"1\", \"l\": \"\"}},\n"
		     " {\"name\": \"longer\", \"count\": null, \"left_ms\": null, \"list\": [], "
		     "\"is_on\": null, \"hidden\": null, \"labels\": {}}]\n");
	parsed = json_loads(text, 0, NULL);
	same = table_json(&table);
	assert_true(json_equal(parsed, same));
	json_decref(parsed);
	json_decref(same);
	free(text);
	table_free(&table);
}

static void test_empty_table(void **state)
{
	struct table table;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	table_init(&table, all_kinds);
	table_print_text(&table, out);
	fflush(out);
	assert_int_equal(len, 0);
	table_print_json(&table, out, ", ");
	fclose(out);
	check_output(text, "[]\n");
	free(text);
	table_free(&table);
}

/* --- made-up maps ------------------------------------------------------------------------------ */

#define SERVICES  4
#define FRONTENDS 4
#define BACKENDS  8
#define CPUS      2

static struct weir_settings fake_settings = {
	.services = SERVICES,
	.frontends = FRONTENDS,
	.backends = BACKENDS,
	.cpus = CPUS,
};
static struct weir_service fake_services[SERVICES];
static struct weir_service_info fake_service_info[SERVICES];
static struct weir_frontend fake_frontends[FRONTENDS];
static struct weir_backend fake_backends[BACKENDS];
static struct weir_backend_info fake_backend_info[BACKENDS];
static struct weir_gauge fake_gauges[BACKENDS];
static struct weir_counters fake_counters[CPUS * BACKENDS];
static struct maps fake_maps;

static void make_backend(__u32 id, __u32 service, const char *address, __u32 reasons)
{
	struct weir_service_info *info = &fake_service_info[service];
	struct addr addr;

	assert_int_equal(addr_parse(address, &addr, NULL), 0);
	memcpy(&fake_backends[id].address, &addr, sizeof(addr));
	fake_backends[id].port = htons(80);
	fake_backends[id].service = service;
	fake_backends[id].reasons = reasons;
	fake_backend_info[id].weight = 1;
	fake_backend_info[id].next = info->first_backend;
	info->first_backend = id;
	info->backends++;
}

static void make_service(__u32 id, const char *name, const char *vip, __u32 frontend)
{
	struct weir_service_info *info = &fake_service_info[id];
	struct addr addr;

	strcpy(info->name, name);
	info->protocol = IPPROTO_TCP;
	info->first_backend = WEIR_NONE;
	info->first_frontend = frontend;
	info->frontends = 1;
	fake_services[id].flags = WEIR_SERVICE_VALID;
	assert_int_equal(addr_parse(vip, &addr, NULL), 0);
	memcpy(&fake_frontends[frontend].vip, &addr, sizeof(addr));
	fake_frontends[frontend].port = htons(80);
	fake_frontends[frontend].flags = WEIR_FRONTEND_VALID;
	fake_frontends[frontend].service = id;
	fake_frontends[frontend].next = WEIR_NONE;
}

static int make_maps(void **state)
{
	memset(fake_services, 0, sizeof(fake_services));
	memset(fake_service_info, 0, sizeof(fake_service_info));
	memset(fake_backends, 0, sizeof(fake_backends));
	memset(fake_backend_info, 0, sizeof(fake_backend_info));
	memset(fake_gauges, 0, sizeof(fake_gauges));
	memset(fake_counters, 0, sizeof(fake_counters));
	fake_maps = (struct maps){.settings = &fake_settings};
	fake_maps.memory[MAP_services] = fake_services;
	fake_maps.memory[MAP_service_info] = fake_service_info;
	fake_maps.memory[MAP_frontend_list] = fake_frontends;
	fake_maps.memory[MAP_backends] = fake_backends;
	fake_maps.memory[MAP_backend_info] = fake_backend_info;
	fake_maps.memory[MAP_gauges] = fake_gauges;
	fake_maps.memory[MAP_counters] = fake_counters;
	make_service(1, "zeta", "10.96.0.1", 0);
	make_service(3, "alpha", "10.96.0.3", 1);
	make_backend(5, 1, "10.0.0.9", 0);
	make_backend(2, 1, "10.0.0.2", WEIR_REASON_DRAINED);
	make_backend(7, 1, "10.0.0.3", WEIR_REASON_WEIGHT);
	make_backend(4, 1, "10.0.0.1", WEIR_REASON_DRAINED);
	fake_backend_info[4].is_leaving = 1;
	strcpy(fake_backend_info[5].zone, "z1");
	strcpy(fake_backend_info[5].labels, "a=1");
	fake_gauges[5].active = 3;
	fake_gauges[4].active = 2;
	return 0;
}

static char *print_table(struct table *table)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	table_print_text(table, out);
	fclose(out);
	table_free(table);
	return text;
}

static void test_services_are_shown_by_name(void **state)
{
	struct table table;
	char *text;

	assert_int_equal(view_table_services(&fake_maps, &table), EXIT_DONE);
	text = print_table(&table);
	check_output(text,
		     "SERVICE  PROTOCOL  PATH  BACKENDS  USABLE  ACTIVE  STATE     VIPS\n"
		     "alpha    tcp       fast         0       0       0  refusing  10.96.0.3:80\n"
		     "zeta     tcp       fast         4       1       5  serving   10.96.0.1:80\n");
	free(text);
}

static void test_backends_are_shown_by_address(void **state)
{
	struct table table;
	char *text;

	assert_int_equal(view_table_backends(&fake_maps, NULL, &table), EXIT_DONE);
	text = print_table(&table);
	check_output(text, "SERVICE  BACKEND      WEIGHT  STATE     LEFT  ACTIVE  ZONE  LABELS\n"
			   "zeta     10.0.0.1:80       1  leaving     0s       2  -     -\n"
			   "zeta     10.0.0.2:80       1  drained      -       0  -     -\n"
			   "zeta     10.0.0.3:80       1  weight-0     -       0  -     -\n"
			   "zeta     10.0.0.9:80       1  usable       -       3  z1    a=1\n");
	free(text);
}

/* A list that a writer or a damage has made endless, or led astray. */
static void test_bad_lists_end(void **state)
{
	struct table table;

	fake_backend_info[5].next = 4; /* a ring */
	fake_frontends[0].next = 0;
	fake_service_info[3].first_backend = 5; /* another's */
	fake_service_info[3].backends = 2;
	fake_service_info[3].first_frontend = 4000000;
	assert_int_equal(view_table_backends(&fake_maps, NULL, &table), EXIT_DONE);
	assert_int_equal(table.cells, 4 * table.width);
	table_free(&table);
	assert_int_equal(view_table_services(&fake_maps, &table), EXIT_DONE);
	assert_int_equal(table.cells, 2 * table.width);
	table_free(&table);
}

/* Totals are sums over CPUs; rates are what came since the last look, per second. */
static void test_stats_and_rates(void **state)
{
	struct look first = {.at_ns = 1000}, second = {.at_ns = 1000 + 2000000000ull};
	struct table table;
	char *text;

	fake_counters[5].chosen = 10;
	fake_counters[BACKENDS + 5].chosen = 20;
	fake_counters[BACKENDS + 5].reply_bytes = 1000;
	fake_counters[7].opened = 100;
	table_init(&table, total_columns);
	assert_int_equal(add_stats(&fake_maps, 1, NULL, &first, &table), EXIT_DONE);
	text = print_table(&table);
	assert_non_null(strstr(text,
			       "\nzeta     -                 5      30     100       0        0"
			       "         0          0         0       1000\n"));
	assert_non_null(strstr(text, "\nzeta     10.0.0.9:80       3      30       0 "));
	free(text);
	qsort(first.samples, first.count, sizeof(*first.samples), compare_samples);

	fake_counters[5].chosen = 110;
	fake_counters[7].opened = 8; /* the id serves another backend now: from 0 */
	fake_backends[7].generation++;
	table_init(&table, rate_columns);
	assert_int_equal(add_stats(&fake_maps, 1, &first, &second, &table), EXIT_DONE);
	text = print_table(&table);
	assert_non_null(strstr(text, "CHOSEN/s"));
	assert_non_null(strstr(text, "\nzeta     -                 5        50         4 "));
	assert_non_null(strstr(text, "\nzeta     10.0.0.9:80       3        50         0 "));
	assert_non_null(strstr(text, "\nzeta     10.0.0.3:80       0         0         4 "));
	free(text);
	free_look(&first);
	free_look(&second);
}

static void test_flow_filters(void **state)
{
	struct stats_flow flow = {.service = 1, .client_port = 9, .backend_port = 80};
	struct filter filter = {.service = "zeta", .service_id = 1, .limit = 2};
	struct collection collection = {.maps = &fake_maps};

	assert_int_equal(addr_parse("10.1.0.1", &flow.client, NULL), 0);
	assert_int_equal(addr_parse("10.0.0.9", &flow.backend_addr, NULL), 0);
	assert_true(is_asked_for(&filter, &flow));
	filter.service_id = 3;
	assert_false(is_asked_for(&filter, &flow));
	filter = (struct filter){.has_backend = true, .backend = flow.backend_addr};
	assert_true(is_asked_for(&filter, &flow));
	filter.backend_port = 81;
	assert_false(is_asked_for(&filter, &flow));
	filter = (struct filter){.has_client = true, .client = flow.backend_addr, .limit = 2};
	assert_false(is_asked_for(&filter, &flow));
	filter.client = flow.client;

	collection.filter = filter;
	assert_int_equal(collect_flow(&flow, &collection), 0);
	assert_int_equal(collect_flow(&flow, &collection), 1);
	assert_int_equal(collection.count, 2);
	free(collection.flows);
}

static void test_labels(void **state)
{
	struct backend backend = {};
	struct err err = {};

	assert_int_equal(read_labels(&backend, "v=2,rack=r1", &err), 0);
	assert_string_equal(backend.labels, "rack=r1,v=2");
	assert_int_equal(read_labels(&backend, "v=3", &err), -EINVAL);
	backend = (struct backend){};
	assert_int_equal(read_labels(&backend, "v", &err), -EINVAL);
	assert_string_equal(err.text, "got v, wanted KEY=VALUE");
	assert_int_equal(read_labels(&backend, "a=1,", &err), -EINVAL);
}

static void test_sizes(void **state)
{
	char text[PRINT_SIZE_LEN];

	assert_string_equal(print_size(0, text), "0.0 KiB");
	assert_string_equal(print_size(1536, text), "1.5 KiB");
	assert_string_equal(print_size(75720064, text), "72.2 MiB");
	assert_string_equal(print_size(3ull << 40, text), "3072.0 GiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_are_complete),
		cmocka_unit_test(test_rows_are_sorted),
		cmocka_unit_test(test_manual_has_all_commands),
		cmocka_unit_test(test_manual_has_all_columns),
		cmocka_unit_test(test_manual_has_all_keys),
		cmocka_unit_test(test_prefixes_resolve),
		cmocka_unit_test(test_every_prefix),
		cmocka_unit_test(test_misuse_is_said),
		cmocka_unit_test(test_words_find_their_places),
		cmocka_unit_test(test_table_as_text),
		cmocka_unit_test(test_table_as_json),
		cmocka_unit_test(test_empty_table),
		cmocka_unit_test_setup(test_services_are_shown_by_name, make_maps),
		cmocka_unit_test_setup(test_backends_are_shown_by_address, make_maps),
		cmocka_unit_test_setup(test_bad_lists_end, make_maps),
		cmocka_unit_test_setup(test_stats_and_rates, make_maps),
		cmocka_unit_test_setup(test_flow_filters, make_maps),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
